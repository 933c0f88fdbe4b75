"""Answers given word for word, for tests that need to know what the model will say.

A script is for a request whose newest message contains `match`, equals `exact`, or whose prompt has
the hash `hash` (as `/_requests` shows it). The first that fits answers, `times` times (-1: always).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

_FIELDS = frozenset({"match", "exact", "hash", "text", "tool_calls", "finish_reason", "times"})


class ScriptError(ValueError):
    """A script is not of the form described above."""


@dataclass(slots=True)
class Script:
    """One prepared answer and the requests it is for."""

    text: str
    match: str | None = None
    exact: str | None = None
    hash: str | None = None
    tool_calls: tuple[Mapping[str, str], ...] = ()  # {"name", "arguments": JSON text}
    finish_reason: str | None = None
    times: int = -1

    def fits(self, newest: str, digest: str) -> bool:
        """Whether it answers a request with this newest message and prompt hash."""
        if self.times == 0:
            return False
        return (
            (self.match is not None and self.match in newest)
            or (self.exact is not None and self.exact == newest)
            or (self.hash is not None and self.hash == digest)
        )


def prompt_hash(messages: Sequence[Mapping[str, Any]]) -> str:
    """The hash of a prompt: SHA-256 of its messages as canonical JSON, in hexadecimal."""
    canonical = orjson.dumps(list(messages), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()


def make_script(entry: object) -> Script:
    """One entry of the control endpoint's `scripts`; `ScriptError` if it is none."""
    if not isinstance(entry, dict) or set(entry) - _FIELDS:
        raise ScriptError(f"a script is an object of {', '.join(sorted(_FIELDS))}, not {entry!r}")
    if not any(isinstance(entry.get(name), str) for name in ("match", "exact", "hash")):
        raise ScriptError("a script needs `match`, `exact` or `hash`")
    if not isinstance(entry.get("text", ""), str):
        raise ScriptError("a script's `text` is a text")
    times = entry.get("times", -1)
    if isinstance(times, bool) or not isinstance(times, int):
        raise ScriptError("a script's `times` is a whole number")
    calls = entry.get("tool_calls") or []
    if not isinstance(calls, list):
        raise ScriptError("a script's `tool_calls` is a list")
    return Script(
        text=entry.get("text", ""),
        match=entry.get("match"),
        exact=entry.get("exact"),
        hash=entry.get("hash"),
        tool_calls=tuple(_call(call) for call in calls),
        finish_reason=entry.get("finish_reason"),
        times=times,
    )


def _call(call: object) -> Mapping[str, str]:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ScriptError(f"a tool call has a `name` and `arguments`, not {call!r}")
    arguments = function.get("arguments", {})
    if not isinstance(arguments, str):
        arguments = orjson.dumps(arguments).decode()
    return {"name": function["name"], "arguments": arguments}
