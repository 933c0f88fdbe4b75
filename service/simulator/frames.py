"""The stream's chunks in their literal shapes, encoded with as little work per token as possible.

Everything before and after the text of a token is encoded once per answer. Every chunk repeats the
role; chunks before the last have no `finish_reason` (captures) or a null one (documents), by
option.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from service.simulator.errors import CONTENT_FILTER_LEVEL, error_body
from service.simulator.ids import AnswerId
from service.simulator.options import SimulatorOptions

DONE = b"data: [DONE]\n\n"
COMMENT = b": keep-alive\n\n"
_HIGH, _LOW = "\\ud83d", "\\ude00"  # the two halves of a smiling face, escaped


class Frames:
    """Encodes the chunks of one answer."""

    def __init__(self, identity: AnswerId, model: str, options: SimulatorOptions) -> None:
        head: dict[str, Any] = {"id": identity.id, "created": identity.created}
        if options.object_field:
            head["object"] = "chat.completion.chunk"
        head["model"] = model
        self._head = orjson.dumps(head)[:-1]
        null = b'"finish_reason":null,' if options.finish_reason == "null" else b""
        self._before_text = (
            b"data: "
            + self._head
            + b',"choices":[{"index":0,'
            + null
            + b'"delta":{"role":"assistant","content":'
        )
        self._after_text = b"}}]}\n\n"

    def text(self, piece: str) -> bytes:
        """A chunk with one piece of the answer's text."""
        return self._before_text + orjson.dumps(piece) + self._after_text

    def half_emoji(self, *, lone: bool) -> list[bytes]:
        """A chunk that ends in half of a surrogate pair, and one with the other half."""
        halves = [_HIGH] if lone else [_HIGH, _LOW]
        return [self._before_text + f'"{h}"'.encode() + self._after_text for h in halves]

    def _chunk(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        tail = orjson.dumps({"choices": choices, **more})[1:]
        return b"data: " + self._head + b"," + tail + b"\n\n"

    def tool_calls(self, calls: Sequence[Mapping[str, Any]]) -> bytes:
        """The whole calls in one chunk, which already has the finish_reason."""
        delta = {"role": "assistant", "tool_calls": list(calls)}
        return self._chunk([{"index": 0, "finish_reason": "tool_calls", "delta": delta}])

    def finish(
        self,
        reason: str,
        usage: dict[str, Any] | None,
        web_search: list[dict[str, Any]] | None = None,
    ) -> bytes:
        """The last chunk."""
        delta = {"role": "assistant", "content": ""}
        more: dict[str, Any] = {"usage": usage}
        if web_search is not None:
            more["web_search"] = web_search
        if reason == "sensitive":
            more["content_filter"] = [{"role": "user", "level": CONTENT_FILTER_LEVEL}]
        return self._chunk([{"index": 0, "finish_reason": reason, "delta": delta}], **more)

    def empty_choices(self) -> bytes:
        """A chunk that says nothing."""
        return self._chunk([])

    def truncated(self, piece: str) -> bytes:
        """A text chunk whose JSON stops in the middle."""
        whole = self.text(piece)
        return whole[: len(self._before_text) - 12] + b"\n\n"

    @staticmethod
    def error(code: str, *, event: bool) -> bytes:
        """An error within the stream."""
        return (b"event: error\n" if event else b"") + b"data: " + error_body(code) + b"\n\n"
