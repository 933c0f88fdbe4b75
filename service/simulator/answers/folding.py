"""Text made comparable: case, accents, vowel signs and letter variants folded away.

`fold` keeps what tells words apart in its own script (Japanese voicing marks, Hangul) and drops
what people leave out when they type in a hurry (accents, Vietnamese tones, Arabic vowel signs).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_KEPT_MARKS = {0x3099, 0x309A}  # Japanese voicing: か and が are different sounds
_DROPPED = {
    point: None
    for point in range(0x20000)  # all scripts and emoji; no marks stand beyond
    if unicodedata.category(chr(point)) == "Mn" and point not in _KEPT_MARKS
}
_ALIKE = {
    **dict(zip("øłđıħðæœþ", ("o", "l", "d", "i", "h", "d", "ae", "oe", "th"), strict=True)),
    **dict(zip("ةىیک", "هييك", strict=True)),  # Arabic and Persian forms of one letter
}
_INVISIBLE = dict.fromkeys((0x200C, 0x200D, 0xAD, 0x640))  # joiners, soft hyphen, tatweel
_LETTERS: dict[int, str | None] = {
    **_DROPPED,
    **{ord(letter): other for letter, other in _ALIKE.items()},
    **_INVISIBLE,
}
_NO_WORD = re.compile(r"[\W_]+")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]")


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """`text` in lower case without accents and other marks."""
    text = text.casefold()
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", text).translate(_LETTERS))


def spaced(text: str) -> str:
    """The folded words of `text`, one space between them and at both ends."""
    return f" {_NO_WORD.sub(' ', fold(text)).strip()} "


def compact(text: str) -> str:
    """`text` folded, without spaces and punctuation: what unspaced scripts are searched in."""
    return _NO_WORD.sub("", fold(text))


def grams(text: str, ignored: frozenset[str] = frozenset()) -> frozenset[str]:
    """What is compared where no topic is known: letter triples of words, pairs of CJK characters.

    Words in `ignored` (folded) do not count.
    """
    found: set[str] = set()
    for word in spaced(text).split():
        if word in ignored:
            continue
        if _CJK.search(word):
            found.update(word[i : i + 2] for i in range(max(1, len(word) - 1)))
        elif len(word) > 2:
            padded = f" {word} "
            found.update(padded[i : i + 3] for i in range(len(padded) - 2))
        elif word.isdecimal():
            found.add(word)
    return frozenset(found)
