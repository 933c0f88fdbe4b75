"""What the model says to one request, before the request's limits cut it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` is the whole answer, also where the request asks to go on with one begun.

    `continued` is the assistant's text that it asks to go on from ("" if none); how that is done
    is decided afterwards (`continuation`), so that the answer is the same however it is asked for.
    """

    text: str
    tool_calls: Sequence[Mapping[str, str]] = ()  # {"name", "arguments": JSON text}
    finish_reason: str | None = None  # None: what follows from text and calls
    web_search: list[dict[str, Any]] | None = None
    continued: str = ""
    language: str = "en"
