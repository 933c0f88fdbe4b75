"""Going on with an answer that was begun: the request's last message is the assistant's own.

The provider does not promise to go on exactly, so whoever takes an answer over must be ready for
what models do: go on from the very character, repeat the last words, begin again word for word or
in other words, or say first that they continue. Which it is follows from the seed and the prompt,
where no option or fault says it.

All of them tell the same answer. It is written as if nothing had been begun, and only then
shortened, lengthened or reworded, so that what was told and what comes after it fit together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.simulator import modes, pieces
from service.simulator.answers.lexicon import language

FEWEST_WORDS, MOST_WORDS = 3, 30  # that are repeated
_SEAM = 20  # characters of a text that the answer does not begin with, looked for within it
_OPENER_ENDS = (":", "：")
_SPACELESS = ("zh", "ja")


@dataclass(frozen=True, slots=True)
class Continuation:
    """One of `modes.MODES`, and the words that are said again where it is `repeat`."""

    mode: str
    words: int


def begun(
    messages: Sequence[Mapping[str, Any]],
) -> tuple[Sequence[Mapping[str, Any]], str]:
    """The messages, and the assistant's text to go on from if they end in one."""
    last = messages[-1]
    if last["role"] == "assistant" and not last.get("tool_calls"):
        return messages[:-1], str(last.get("content") or "")
    return messages, ""


def chosen(mode: str, key: str) -> Continuation:
    """The way of that mode; what it leaves open follows from `key`."""
    digest = hashlib.blake2b(f"continue/{key}".encode(), digest_size=8).digest()
    rest, number = divmod(int.from_bytes(digest), len(modes.MODES))
    words = FEWEST_WORDS + rest % (MOST_WORDS - FEWEST_WORDS + 1)
    return Continuation(modes.MODES[number] if mode == modes.SEEDED else mode, words)


def going_on(whole: str, told: str, code: str, how: Continuation) -> str:
    """What is said after `told`, in the language `code`, so that `whole` is the answer."""
    if not whole:  # a tool call alone
        return ""
    own = language(code)
    gap = "" if code in _SPACELESS else " "
    match how.mode:
        case modes.REPEAT:
            return pieces.last_words(told, how.words) + _after(whole, told)
        case modes.RESTART:
            return whole
        case modes.REWORDED:
            return f"{own.phrases['reworded']}{gap}{_reworded(whole)}"
        case modes.PREAMBLE:
            return f"{own.phrases['continuing']}{gap}{_after(whole, told).lstrip()}"
    return _after(whole, told)


def _after(whole: str, told: str) -> str:
    """What of `whole` comes after `told`; all of it, in a new paragraph, if nothing fits."""
    if whole.startswith(told):
        return whole[len(told) :]
    end = told[-_SEAM:]
    place = whole.find(end)
    return whole[place + len(end) :] if place >= 0 else f"\n\n{whole}"


def _reworded(whole: str) -> str:
    """The answer without its opener and its emphasis: what the shop says is always quoted."""
    opener, gap, rest = whole.partition("\n\n")
    told = rest if gap and opener.endswith(_OPENER_ENDS) else whole
    return told.replace("**", "")
