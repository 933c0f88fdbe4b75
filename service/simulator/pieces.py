"""Model tokens, approximately: how text is counted and how it is cut for streaming.

The real tokenizer is not public for this model. This one is fixed and documented instead, near the
real one in number: a run of up to eight Latin letters with the space before it, up to four letters
of another alphabet, up to two Chinese, Japanese or Korean characters, up to three digits, one mark
of punctuation, one run of white space is one model token each. What a reader sees as one character
(a letter with its marks, an emoji with its parts, a flag) is never cut.
"""

from __future__ import annotations

import re
from functools import lru_cache

_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0900-\u0903\u093a-\u094f\u0e31\u0e34-\u0e3a"
    "\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe00-\ufe0f\ufe20-\ufe2f"
    "\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\u200c"
)
_M = f"[{_MARKS}]*"
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003134f"
_LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff"
_FLAG = "[\U0001f1e6-\U0001f1ff]{2}"
_PIECE = re.compile(
    rf"{_FLAG}"
    rf"|(?:[{_CJK}]{_M}){{1,2}}"
    rf"| ?(?:[{_LATIN}]{_M}){{1,8}}"
    rf"| ?\d{{1,3}}{_M}"
    rf"| ?(?:(?![{_CJK}])[^\W\d_]{_M}){{1,4}}"
    rf"|\s+{_M}"
    rf"|\S{_M}(?:\u200d\S{_M})*"
)
_SPACELESS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_RUN = re.compile(rf"((?:[{_SPACELESS}]{_M})+)|[^\s{_SPACELESS}]+")
_SIGN = re.compile(rf"[{_SPACELESS}]{_M}")
_REMEMBERED_LENGTH = 20_000  # longer texts are counted anew: they seldom come twice


def split(text: str) -> list[str]:
    """`text` in pieces of one model token; joined they are `text`."""
    return _PIECE.findall(text)


def last_words(text: str, words: int) -> str:
    """The end of `text` from its last so many words on; all of it if there are fewer.

    A word is what stands between spaces. In Chinese and Japanese, where nothing separates words, it
    is two characters, counted from the end of each run of them.
    """
    starts: list[int] = []
    for run in _RUN.finditer(text):
        start = run.start()
        if run.group(1):
            signs = [start + sign.start() for sign in _SIGN.finditer(run.group())]
            starts += signs[: len(signs) % 2] + signs[len(signs) % 2 :: 2]
        elif text[start].isalnum() or text[start - 1].isspace():
            starts.append(start)  # else it is the punctuation of the word before it
    return text[starts[-words] :] if words <= len(starts) else text


@lru_cache(maxsize=4096)
def _count_remembered(text: str) -> int:
    return len(_PIECE.findall(text))


def count(text: str) -> int:
    """The number of model tokens in `text`."""
    if len(text) > _REMEMBERED_LENGTH:
        return len(_PIECE.findall(text))
    return _count_remembered(text)
