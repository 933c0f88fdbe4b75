"""Where an answer that is told anew meets the text that was shown already.

Another worker took over an answer in mid-sentence and asked the model anew. What comes is skipped
while it equals the shown text; where it differs first, the shown text is cut there, once, and from
then on everything is new.
"""

from typing import NamedTuple


class Step(NamedTuple):
    """Cut the shown text to ``cut`` code points (None: leave it), then add ``text``."""

    cut: int | None
    text: str


class Seam:
    """Feed it the new telling piece by piece; it says what to do with the shown text."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._at = 0  # code points of the new telling that equal the shown text
        self._met = not shown

    def add(self, piece: str) -> Step:
        if self._met:
            return Step(None, piece)
        expected = self._shown[self._at : self._at + len(piece)]
        same = _common(piece, expected)
        self._at += same
        if same == len(piece) and self._at < len(self._shown):
            return Step(None, "")
        self._met = True
        cut = self._at if self._at < len(self._shown) else None
        return Step(cut, piece[same:])

    def end(self) -> Step:
        """The new telling is over: what it did not say again goes."""
        return Step(None if self._met else self._at, "")


def _common(one: str, other: str) -> int:
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))
