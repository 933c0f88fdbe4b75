"""What a log says was shown at each offset: the client rules, applied to the log itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.chaos.checker_client import Shown, View
from tests.chaos.checker_records import Entry, LogTrace


@dataclass
class Told:
    """The messages after an offset. ``sure``: those whose whole life the log tells; of the others
    nothing is known. ``whole``: no message is older than the log.
    """

    messages: Mapping[int, Shown]
    sure: frozenset[int]
    status: str
    whole: bool


@dataclass
class Fold:
    """A folded log: what it told at the offsets that were asked for, and where it does not fit."""

    at: dict[int, Told] = field(default_factory=dict)
    wrong: list[tuple[Entry, str]] = field(default_factory=list)
    holes: list[int] = field(default_factory=list)  # offsets after which some were never seen
    newest: int = 0


def fold(entries: Mapping[int, Entry], asked: Iterable[int] = ()) -> Fold:
    """Fold one epoch's entries, and remember what was told at the offsets ``asked`` and the end."""
    folded, wanted = Fold(), set(asked)
    view = View(awaiting=False)
    sure: set[int] = set()
    before, whole = 0, True
    if 0 in wanted:
        folded.at[0] = Told({}, frozenset(), view.status, True)
    for offset in sorted(entries):
        entry = entries[offset]
        if offset != before + 1:
            folded.holes.append(before)
            whole = False
            sure = {m for m in sure if view.messages[m].done}
        before = offset
        _take(view, sure, entry, folded)
        if offset in wanted:
            folded.at[offset] = Told(dict(view.messages), frozenset(sure), view.status, whole)
    folded.newest = before
    folded.at[before] = Told(dict(view.messages), frozenset(sure), view.status, whole)
    return folded


def _take(view: View, sure: set[int], entry: Entry, folded: Fold) -> None:
    frame = entry.frame
    m = frame.get("m", 0) or frame.get("message", {}).get("m", 0)
    born = entry.kind == "message.created" or (
        entry.kind == "answer.started" and frame.get("attempt") == 1 and m not in view.messages
    )
    if born:
        sure.add(m)
    elif m and m not in sure:
        return  # begun where nobody looked
    try:
        wrong = view.change(frame)
    except (KeyError, TypeError, ValueError) as error:
        wrong = f"it is no frame: {error!r}"
    if wrong:
        folded.wrong.append((entry, wrong))
        sure.discard(m)


def folds(log: LogTrace, asked: Mapping[str, Iterable[int]] | None = None) -> dict[str, Fold]:
    """Every epoch's fold; ``asked``: offsets by epoch."""
    wanted = asked or {}
    return {epoch: fold(by, wanted.get(epoch, ())) for epoch, by in log.epochs.items()}
