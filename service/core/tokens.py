"""How many model tokens a text has, near enough to budget with, in microseconds a word.

The provider's tokenizer is not public and a real one weighs megabytes. What stands here is an
estimate of cl100k_base, which is close for all of the 26 languages and never far below: too much
costs a little context, too little costs a refused request.

A tokenizer cuts a text into words, numbers and signs, and each word into the pieces that it
knows. So does this: with the most frequent twentieth of the pieces (`token_pieces`), taking the
longest that fits, and with a weight for what it does not know. No language is asked for; what
differs between them is how much of a word is known. The weights are a least-squares fit on texts
in all languages, a tenth raised. tests/core/cl100k/ holds the reference counts and says how to
make them again.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import ceil
from typing import Any

from service.core.token_pieces import INNER, STARTS

# Chat formats wrap each message in marks and a role, and the answer begins with some more.
MESSAGE_OVERHEAD = 4
REPLY_OVERHEAD = 3

_STARTS = frozenset(STARTS.split())
_INNER = frozenset(INNER.split())
_LONGEST: dict[str, int] = {}
for _piece in _STARTS | _INNER:
    _LONGEST[_piece[0]] = max(_LONGEST.get(_piece[0], 1), len(_piece))

_CUT = re.compile(
    r"'(?:[sdmt]|ll|ve|re)\b"  # English contractions
    r"| ?[^\W\d_]+"  # a word, with the space before it
    r"|\d{1,3}"
    r"| ?(?:[^\s\w]|_)+"  # signs
    r"|\s*[\r\n]+"
    r"|\s+"
    r"|\w"  # other numerals
)

_NUMBER = 1.12  # up to three digits
_LINES = 1.5
_SPACES = 1.4
_SIGN = 0.87  # the first of a run; some join the word that follows
_MORE_SIGNS = 0.3  # ASCII runs often are one piece
_SYMBOL = 1.0
_EMOJI = 3.0
_CAPITAL = 0.42  # of a word in capitals only: a code or a shout

_CACHED_WORD = 24  # longer ones are rare, or sentences of a language without spaces
_CACHED_WORDS = 16_384


def estimate(text: str) -> int:
    """Model tokens of ``text``: 0 to 25 % above cl100k_base for a page of any of the languages."""
    total = 0.0
    for word in _CUT.findall(text):
        total += _known(word) if len(word) <= _CACHED_WORD else _cost(word)
    return ceil(total)


def estimate_message(message: Mapping[str, Any]) -> int:
    """Model tokens of one of the provider's messages, with tool calls and the marks around it."""
    total = MESSAGE_OVERHEAD + estimate(message.get("content") or "")
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        total += MESSAGE_OVERHEAD + estimate(function.get("name") or "")
        total += estimate(function.get("arguments") or "")
    return total


def estimate_messages(messages: Sequence[Mapping[str, Any]]) -> int:
    """Model tokens of a whole prompt."""
    return REPLY_OVERHEAD + sum(map(estimate_message, messages))


def _cost(word: str) -> float:
    """Model tokens of what `_CUT` found, as a sum of weights."""
    letters = word[1:] if word[0] == " " else word
    if not letters or letters[0].isspace():
        return _LINES if "\n" in word or "\r" in word else _SPACES
    if letters[0].isdigit():
        return _NUMBER
    if not letters[0].isalpha():
        first = _EMOJI if letters >= "\U00010000" else _SIGN
        return first + sum(map(_sign, letters[1:]))
    if len(letters) > 1 and letters.isascii() and letters.isupper():
        return _CAPITAL * len(letters)
    return _word_cost(letters.lower(), word[0] == " ")


_known = lru_cache(maxsize=_CACHED_WORDS)(_cost)


def _word_cost(word: str, spaced: bool) -> float:
    latin = word[0] < "\u0370" or "\u1e00" <= word[0] < "\u1f00"
    first, piece = (0.67, 0.82) if latin else (0.94, 1.1)
    total = 0.33 if latin else 0.27
    at = 0
    while at < len(word):
        pieces = _STARTS if spaced and not at else _INNER
        for length in range(min(_LONGEST.get(word[at], 1), len(word) - at), 0, -1):
            if word[at : at + length] in pieces:
                total += piece if at else first
                at += length
                break
        else:
            total += _unknown(word[at])
            at += 1
    return total


def _unknown(letter: str) -> float:
    """A letter that begins no known piece costs by its bytes: the tokenizer falls back to those."""
    if letter < "\x80":
        return 0.65  # an ASCII letter is a piece, and mostly part of a longer one
    if letter < "\u0250":
        return 1.0
    if "\u1e00" <= letter < "\u1f00":
        return 1.3
    return 2.2 if letter < "\U00010000" else 3.3


def _sign(letter: str) -> float:
    if letter < "\u0800":
        return _MORE_SIGNS
    return _SYMBOL if letter < "\U00010000" else _EMOJI
