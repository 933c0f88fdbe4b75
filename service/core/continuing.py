"""Whether what a model says goes on where a text stopped, or begins anew.

The two are told apart by their seam, and by what each can begin with. A message has no space before
it: who begins with one goes on in the middle of a line. It does not begin with a comma, with an
accent to be put onto another letter, or with a small letter: these go on, too. A capital that
touches the letter before it begins anew ("in threeWe ship"). So does a capital while a sentence is
open, unless the text is one that writes capitals within its sentences; and so does "Sure,
continuing:", wherever it stands.

Where that decides nothing (between two sentences, or in a script without capitals) a text that
begins anew gives itself away by its words: it shares some with the answer's start.

What is left in doubt begins anew. To tell an answer again costs a moment, and one rewind where the
new one differs. To put a second beginning behind the first doubles it before the customer's eyes.
"""

from service.core.announcements import announces
from service.core.sentences import (
    capitalises,
    clings,
    ends_line,
    first_letter,
    is_open,
    mark_of,
    spaceless,
    weight,
)

START = 200  # characters of the answer whose words a second telling would use again
SHARED = 12  # letters in a row; six ideographs
_JOINERS = "-‐–/\\'’\"„“«([{@#&_+=<¿¡°$€£" + "\u200c"  # a name may follow them: "E-Mail", "(Norway"


def is_attached(shown: str, held: str) -> bool:
    """Whether the first character that came shows by itself that it goes on.

    A space does, unless this model begins its answers with one.
    """
    first = held[0]
    if first.isspace():
        return first != "\n" and not shown[-1].isspace() and not shown[0].isspace()
    return clings(held) or (first.isdigit() and shown[-1].isdigit())


def goes_on(shown: str, held: str) -> bool:
    """Whether ``held``, the first that came, goes on where ``shown`` stopped. Neither is empty."""
    text = held.lstrip()
    if not text or is_attached(shown, held):
        return True
    if announces(text):
        return False
    breaks = "\n" in held[: len(held) - len(text)]
    if breaks or shown.endswith("\n"):
        verdict = _on_a_new_line(shown, text)
    elif held is not text or shown[-1].isspace():
        verdict = _after_a_space(shown, text)
    else:
        verdict = _glued(shown, text)
    return not _shares(shown[:START], text) if verdict is None else verdict


# Each of these is True, False, or None where nothing but the words can tell.


def _on_a_new_line(shown: str, text: str) -> bool | None:
    mark = mark_of(text)
    lines = shown.rstrip().rpartition("\n")[2]
    if mark is not None and (mark == mark_of(lines) or lines.endswith((":", "："))):
        return True  # the list goes on, or begins where it was announced
    if first_letter(text).islower():
        return True
    return None if shown.endswith("\n") or ends_line(shown) else False


def _after_a_space(shown: str, text: str) -> bool | None:
    first = first_letter(text)
    if first.islower():
        return True
    if first.isupper() and is_open(shown) and not capitalises(shown):
        return False
    return None


def _glued(shown: str, text: str) -> bool | None:
    """Nothing stands between what was shown and what came: a word was cut, or it begins anew."""
    last, first = shown[-1], first_letter(text)
    if mark_of(text) is not None:
        return mark_of(text) == "row" == mark_of(shown.rpartition("\n")[2])
    if first.islower():
        return True
    capitals = shown[-2:].isalpha() and shown[-2:].isupper() and not text[1:2].islower()
    if not first.isupper() or capitals or spaceless(last) or last in _JOINERS:
        return None  # "US" and "B-C" may be one word
    return False


def _shares(start: str, text: str) -> bool:
    """Whether ``text`` has a run of `SHARED` letters in common with ``start``."""
    start, text = start.casefold(), text.casefold()
    end = 0
    for at in range(len(text)):
        while end < len(text) and weight(text[at:end]) < SHARED:
            end += 1
        if weight(text[at:end]) < SHARED:
            return False
        if text[at:end] in start:
            return True
    return False
