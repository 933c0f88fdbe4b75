"""What is sent to the model: its own fields, inside its own ranges, and nothing else.

Left out on purpose: `n`, `stream_options`, `max_completion_tokens`, `user`, penalties. The API's
list of properties is closed, and nobody says what it does with others.
"""

import hashlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
import orjson

from service.core.model import ModelRequest

MOST_ANSWER_TOKENS = 16_384  # the model's own limit for one answer
TEMPERATURES = (0.01, 0.99)  # the ends, 0 and 1, are refused by some versions of the API
ID_CHARS = (6, 64)  # of request_id and user_id
PIECE_BYTES = 256 << 10  # of a body that is sent in pieces, so that other streams get their turn
MOST_TOOLS = 128


def url(base: str) -> str:
    """The URL to post to, from a base with or without a path, a final slash or a query."""
    parts = urlsplit(base.strip())
    path = parts.path.rstrip("/") + "/chat/completions"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def body(request: ModelRequest, model: str) -> bytes:
    """The request's JSON."""
    fields: dict[str, Any] = {
        "model": model,
        "messages": request.messages,
        "stream": True,
        "max_tokens": max(1, min(request.max_tokens, MOST_ANSWER_TOKENS)),
        "request_id": _id(request.request_id),
        "user_id": _id(request.user_id),
    }
    if request.temperature is not None:
        low, high = TEMPERATURES
        fields["temperature"] = round(max(low, min(request.temperature, high)), 2)
        if request.temperature <= 0:
            fields["do_sample"] = False
    if request.tools:
        fields["tools"] = request.tools[:MOST_TOOLS]
        fields["tool_choice"] = "auto"  # the only value there is
    if request.json_object:
        fields["response_format"] = {"type": "json_object"}
    try:
        return orjson.dumps(fields)
    except TypeError:  # half a surrogate pair in some text
        return msgspec.json.encode(_whole(fields))


def content(body: bytes) -> bytes | AsyncIterator[bytes]:
    """``body`` as httpx takes it: in pieces where it is the largest that a context can make it."""
    return body if len(body) <= PIECE_BYTES else _pieces(body)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), PIECE_BYTES):
        yield body[at : at + PIECE_BYTES]


def _id(text: str) -> str:
    """``text`` where the API takes it, else a name made from it: always the same for the same."""
    low, high = ID_CHARS
    if low <= len(text) <= high and text.isascii() and text.isprintable():
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _whole(value: Any) -> Any:
    """``value`` with each lone surrogate in its texts replaced by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {_whole(name): _whole(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(part) for part in value]
    return value
