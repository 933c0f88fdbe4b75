"""Where the beginning of a text stands in another: what was told already, and is told again.

A model that is asked to go on often repeats what it said last, or all of it. An echo is a place in
the shown text from where on the two are equal: to the end of what came, or to the end of what is
shown. There may be several, in a list with lines that are alike for example; only what comes next
tells them apart, so all are returned.

A text that goes on as it did before is no echo: after "| yes | yes | yes" the rest " | yes" is
another cell. It is known by three things at once: it begins as only something can that goes on
(with a space, a comma, within a word), it stands in the text already, and what stands before it
there is what the text ends with.
"""

from typing import NamedTuple

from service.core.sentences import clings, spaceless, starts_word, weight

TAIL = 400  # characters from the shown end in which an echo begins, unless it is the text's start
LEAST = 8  # letters, or their weight; less is a coincidence
LEAST_SPACELESS = 6  # of Chinese and Japanese: three ideographs say as much as two words
LEAST_INSIDE = 20  # where it ends before the shown end: phrases like "takes three days." come again
LEAST_WORDS = 3  # or so many whole words, however short
CONTEXT = 4  # characters before a place that make it the same place in a pattern


class Echo(NamedTuple):
    """From ``at`` in the shown text on. ``lead``: white space before it, in what came."""

    at: int
    lead: int


def echoes(shown: str, held: str) -> list[Echo]:
    """The places in ``shown`` that ``held`` may be told from again, in order.

    At each, either all of ``held`` stands there, or it begins with all that is shown from there on.
    White space before the first word does not count where it is a new line, or the whole text is
    told again.
    """
    lead = len(held) - len(held.lstrip())
    found = {echo.at: echo for echo in _with_lead(shown, held, lead)} if lead else {}
    found.update({echo.at: echo for echo in _with_lead(shown, held, 0)})
    return [found[at] for at in sorted(found)]


def _with_lead(shown: str, held: str, lead: int) -> list[Echo]:
    text, breaks = held[lead:], "\n" in held[:lead]
    if not text:
        return []
    first = max(0, len(shown) - TAIL)
    starts = [0, *range(max(1, first), len(shown))] if not lead or breaks else [0]
    return [Echo(at, lead) for at in starts if _echoes_from(shown, at, text, lead)]


def _echoes_from(shown: str, at: int, text: str, lead: int) -> bool:
    to_the_end = text.startswith(shown[at:])
    if not to_the_end and not shown.startswith(text, at):
        return False
    whole_words = starts_word(shown, at)
    same = shown[at:] if to_the_end else text
    least = LEAST_SPACELESS if any(map(spaceless, same)) else LEAST
    enough = weight(same) >= (least if to_the_end else LEAST_INSIDE)
    if not enough and not (to_the_end and whole_words and len(same.split()) >= LEAST_WORDS):
        return False
    goes_on = lead or not whole_words or text[0].isspace() or clings(text)
    before = shown[:at].rstrip() if lead else shown[:at]
    return not (goes_on and before.endswith(shown[-CONTEXT:]))
