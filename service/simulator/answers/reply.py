"""What the model says to one request, before the request's limits cut it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """`continued` is the assistant's text that the request asked to go on from ("" if none)."""

    text: str
    tool_calls: Sequence[Mapping[str, str]] = ()  # {"name", "arguments": JSON text}
    finish_reason: str | None = None  # None: what follows from text and calls
    web_search: list[dict[str, Any]] | None = None
    continued: str = ""
