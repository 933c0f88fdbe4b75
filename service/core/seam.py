"""Where an answer that another worker goes on with meets the text that was shown already.

A worker died in mid-sentence. The one that took the turn over has the shown text and a model, and
no way to make the model do what the dead worker's connection would have done. There are two things
to ask for, and a seam for each.

**Tell it again** (`Retelling`). The request is the first one, once more. What comes is skipped
while it equals the shown text. Where it differs first, the shown text is cut, once, and from then
on everything is new. It is right whatever comes, but a model seldom says the same twice, and then
the customer sees words go that were read already.

**Go on** (`Seam`). The shown text is the last message of the request, as the assistant's own. Not
all models were made for that. Some go on exactly. Some first repeat what they said last, or all of
it. Some begin again in other words, or say "Sure, continuing:". So the first `HELD` characters are
held back and looked at:

* They stand in the shown text already, at its start or near its end (`echoes`): an echo. What comes
  is skipped while it equals the shown text, and what goes beyond the shown end is put behind it.
* They go on where the text stopped (`continuing`): they are put behind it.
* Neither, so they begin anew. They are thrown away, and the model is asked to tell it again.

::

    holding --40 characters, or the end--> skipping   an echo: nothing is shown that stands there
                                           flowing    it goes on
                                           anew       it begins anew
    skipping --past the shown end-->       flowing    what goes beyond is new
             --differs before it-->        flowing    after one cut, there
                                           anew       where there is doubt what was repeated

While it skips, nothing is shown, so nothing is lost by waiting. That is what finds the right place
in a list with lines that are alike: every place where the held text stands is followed, and it is
the place from which what comes runs on to the shown end. If several do, the echo is the longest:
equal lines are rather shown once too seldom than once too often. If none does, the telling is a
reworded one. Told from the start, or from a single place while a sentence is open, it is cut where
it differs. Else the doubt is settled by asking anew, which is never wrong.

Places and lengths are code points: so every cut falls between two, as the wire wants. What is
decided depends on the text alone and not on the pieces that it comes in.
"""

from typing import Literal, NamedTuple

from service.core.continuing import goes_on, is_attached
from service.core.echoes import Echo, echoes
from service.core.sentences import is_open, starts_word

HELD = 40  # characters held back before it is decided; less shown than that is not worth a seam

State = Literal["holding", "skipping", "flowing", "anew"]


class Step(NamedTuple):
    """Cut the shown text to ``cut`` code points (None: leave it), then add ``text``.

    ``anew``: what came is of no use, and the model is to be asked to tell it all again. Nothing has
    been cut or added by then.
    """

    cut: int | None
    text: str
    anew: bool = False


NOTHING = Step(None, "")
ANEW = Step(None, "", anew=True)


class Retelling:
    """Feed it the answer told again, piece by piece; it says what to do with the shown text."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._at = 0  # code points of the new telling that equal the shown text
        self._met = not shown

    def add(self, piece: str) -> Step:
        if self._met:
            return Step(None, piece)
        same = _common(piece, self._shown[self._at : self._at + len(piece)])
        self._at += same
        if same == len(piece) and self._at < len(self._shown):
            return NOTHING
        self._met = True
        cut = self._at if self._at < len(self._shown) else None
        return Step(cut, piece[same:])

    def end(self, *, whole: bool = True) -> Step:
        """The telling is over. What it did not say again goes, if it said all it had to say."""
        return NOTHING if self._met or not whole else Step(self._at, "")


class Seam:
    """Feed it how the answer goes on, piece by piece; it says what to do with the shown text.

    ``shown`` has at least `HELD` characters. After a step that says ``anew`` feed it no more.
    """

    def __init__(self, shown: str) -> None:
        self.state: State = "holding"
        self._shown = shown
        self._told = ""  # all that came, until it is decided
        self._echoes: list[Echo] = []

    def add(self, piece: str) -> Step:
        """The next piece of the answer."""
        match self.state:
            case "flowing":
                return Step(None, piece)
            case "anew":
                raise ValueError("a seam in the state anew takes no text")
        self._told += piece
        if self.state == "holding":
            if len(self._told) < HELD:
                return NOTHING
            self._hold_on()
        return NOTHING if any(map(self._stands_at, self._echoes)) else self._decide()

    def end(self, *, whole: bool = True) -> Step:
        """The answer is over; ``whole``: because all was said, and not because it was cut off."""
        if self.state in ("flowing", "anew"):
            return NOTHING
        if self.state == "holding":
            self._hold_on()
        return self._decide(whole=whole)

    def _hold_on(self) -> None:
        """Enough has come to look for echoes."""
        self.state = "skipping"
        self._echoes = echoes(self._shown, self._told[:HELD])

    def _stands_at(self, echo: Echo) -> bool:
        """Whether all that came stands there, and the shown end is still to come."""
        told = self._told[echo.lead :]
        return len(told) < len(self._shown) - echo.at and self._shown.startswith(told, echo.at)

    def _beyond(self) -> str | None:
        """What goes beyond the shown end, told from the earliest place that got there."""
        for echo in self._echoes:
            if self._told.startswith(self._shown[echo.at :], echo.lead):
                return self._told[echo.lead + len(self._shown) - echo.at :]
        return None

    def _decide(self, *, whole: bool = True) -> Step:
        beyond = self._beyond()
        if beyond is not None:
            return self._flow(Step(None, beyond))
        held = self._told[:HELD]
        if not held.strip():
            return self._said_nothing()
        told_from = [echo for echo in self._echoes if self._begins_at(echo, held)]
        if told_from:
            return self._told_otherwise(told_from, whole=whole)
        if goes_on(self._shown, held):
            return self._flow(Step(None, self._told))
        return self._anew()

    def _begins_at(self, echo: Echo, held: str) -> bool:
        """Whether one who tells something again may have begun there."""
        if echo.at == 0:
            return True
        return starts_word(self._shown, echo.at) and not is_attached(self._shown, held)

    def _told_otherwise(self, told_from: list[Echo], *, whole: bool) -> Step:
        """It repeated what is shown, and then went on in other words, or ended."""
        echo, told = told_from[0], self._told[told_from[0].lead :]
        same = _common(told, self._shown[echo.at :])
        ended = same == len(told)
        if len(told_from) > 1 or (echo.at and (ended or not is_open(self._shown))):
            return self._anew()
        if ended and not whole:
            return self._flow(NOTHING)
        return self._flow(Step(echo.at + same, told[same:]))

    def _said_nothing(self) -> Step:
        """There was nothing left to say, if the text may end where it stopped."""
        return self._anew() if is_open(self._shown) else self._flow(Step(None, self._told))

    def _flow(self, step: Step) -> Step:
        self.state, self._told = "flowing", ""
        return step

    def _anew(self) -> Step:
        self.state = "anew"
        return ANEW


def _common(one: str, other: str) -> int:
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))
