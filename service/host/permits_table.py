"""Tables for terminals: columns as wide as they need; where there is no room, spare ones go."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

GAP = 2
LEAST = 6  # characters of the first column, which is cut where nothing else can go
Cell = tuple[str, str]  # the text, and the name of its style


class Column(NamedTuple):
    """``spare``: 0 always stays; of the others the highest goes first."""

    title: str
    left: bool = False
    spare: int = 0


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    room: int,
    paint: Callable[[str, str], str],
) -> list[str]:
    """The lines of a table of at most ``room`` characters, as far as that can be."""
    widths = [
        max(len(column.title), *(len(row[at][0]) for row in rows))
        for at, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    for at in sorted(kept, key=lambda at: -columns[at].spare):
        if sum(widths[at] + GAP for at in kept) - GAP <= room or not columns[at].spare:
            break
        kept.remove(at)
    over = sum(widths[at] + GAP for at in kept) - GAP - room
    widths[0] = max(min(widths[0], LEAST), widths[0] - max(0, over))
    titles = [(column.title, "faint") for column in columns]
    lines = []
    for row in [titles, *rows]:
        pieces = []
        for at in kept:
            text, style = row[at]
            text = text if len(text) <= widths[at] else f"{text[: widths[at] - 1]}~"
            padding = " " * (widths[at] - len(text))
            painted = paint(text, style)
            pieces.append(painted + padding if columns[at].left else padding + painted)
        lines.append((" " * GAP).join(pieces).rstrip())
    return lines
