"""One answer's stream, from bytes to events, without I/O: the hot loop of the whole product.

Each model token costs one pass through `AnswerReader.feed`. The usual frame goes through a typed
decoder that skips what nobody reads; whatever that decoder refuses takes the slow path, which is
lenient. Two things need it in real life:

- Half a surrogate pair. Models write an emoji as several model tokens, and some servers escape each
  half (`\\ud83d`, then `\\ude00`) in a frame of its own. A half waits for its other half; one that
  stays alone becomes U+FFFD.
- Odd types: numbers for strings, arguments as objects.

The pieces of text of one read become one delta: a reader that fell behind gets fewer, longer ones.
The text before an error is given before the error is: look at `error` after every `feed`.
"""

import json
from typing import Any
from urllib.parse import urlsplit

import msgspec

from service.clients import provider_errors
from service.clients.sse import EventStream, EventTooLong
from service.core.errors import ModelCutOff, ModelError, ModelUnreachable
from service.core.model import Finished, ModelEvent, Source, TextDelta, ToolCall, ToolCalls, Usage

SOURCES = 50  # the most that a web search may be asked for
TITLE_CHARS = 300
REPLACEMENT = "\ufffd"


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    message: _Delta | None = None  # of an answer that is no stream
    finish_reason: str | None = None


class _Cached(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Cached | None = None


class _Frame(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    web_search: msgspec.Raw | None = None
    error: msgspec.Raw | None = None
    code: msgspec.Raw | None = None


_decode = msgspec.json.Decoder(_Frame).decode
_NO_USAGE = _Usage()
_NULL = b"null"


class AnswerReader:
    """Feed it bytes until ``done`` (the provider said `[DONE]`) or ``error``; then `close` it."""

    def __init__(self) -> None:
        self.done = False
        self.error: ModelError | None = None
        self.progress = 0  # frames that brought something: text, a call, an end
        self._stream = EventStream()
        self._half = ""  # a high surrogate that waits for its low one
        self._calls: dict[int, list[str]] = {}  # by index: id, name, arguments
        self._reason = ""
        self._usage = _NO_USAGE
        self._sources: tuple[Source, ...] = ()

    def feed(self, raw: bytes) -> list[ModelEvent]:
        """The events that ``raw`` completes."""
        try:
            events = self._stream.feed(raw)
        except EventTooLong as error:
            self.error = ModelCutOff(f"the model's API sent {error}")
            return []
        return self._read(events) if events else []

    def close(self) -> list[ModelEvent]:
        """The last events, Finished among them, once the connection has ended."""
        events = self._read(self._stream.close()) if not self.done and not self.error else []
        if not self.done and self.error is None:
            self.error = ModelCutOff("the model's stream ended without [DONE]")
        if self._half:
            self._half = ""
            events.append(TextDelta(REPLACEMENT))
        if self.error is None:
            events += self._end()
        return events

    def whole(self, body: bytes) -> list[ModelEvent]:
        """The events of an answer that came in one piece, as JSON, instead of as a stream."""
        events = self._read([(b"", body)])
        if not self.progress and (self.error is None or isinstance(self.error, ModelCutOff)):
            self.error = ModelUnreachable("something else than the model answered, with status 200")
        self.done = True
        return events + self.close()

    def _read(self, events: list[tuple[bytes, bytes]]) -> list[ModelEvent]:
        pieces: list[str] = []
        for name, content in events:
            odd = False  # only the lenient path lets half a surrogate pair through
            try:
                frame = _decode(content)
            except ValueError:  # msgspec's own errors and a UnicodeDecodeError
                if content.startswith(b"[DONE]"):
                    self.done = True
                    break
                lenient = self._leniently(content)
                if lenient is None:
                    break
                frame, odd = lenient, True
            choices = frame.choices
            if choices:
                text = self._choice(choices[0])
                if text:
                    if odd or self._half:
                        text = self._paired(text)
                    pieces.append(text)
            elif self._failed(name, frame, content):
                break
            if frame.usage is not None:
                self._usage = frame.usage
            if frame.web_search is not None:
                self._sources = _sources(frame.web_search) or self._sources
        text = "".join(pieces)
        return [TextDelta(text)] if text else []

    def _choice(self, choice: _Choice) -> str | None:
        """The choice's text; its other contents are kept for the end."""
        delta = choice.delta or choice.message
        text = None
        if delta is not None:
            text = delta.content
            if delta.tool_calls:
                self._collect(delta.tool_calls)
                self.progress += 1
        if text:
            self.progress += 1
        if choice.finish_reason:
            self._reason = choice.finish_reason  # may come twice: the stream ends at [DONE]
            self.progress += 1
        return text

    def _collect(self, calls: list[_Call]) -> None:
        """Add up tool calls: this provider sends them whole, others of its kind in fragments."""
        for call in calls:
            index = call.index
            if index is None:
                index = len(self._calls) if call.id or not self._calls else max(self._calls)
            parts = self._calls.setdefault(index, ["", "", ""])
            parts[0] = parts[0] or call.id or ""
            if call.function is not None:
                parts[1] = parts[1] or call.function.name or ""
                arguments = call.function.arguments
                if isinstance(arguments, dict):
                    arguments = json.dumps(arguments, ensure_ascii=False)
                parts[2] += arguments or ""

    def _failed(self, name: bytes, frame: _Frame, content: bytes) -> bool:
        """Whether a frame without choices is an error; `error` is set if so."""
        if not (name == b"error" or _says(frame.error) or _says(frame.code)):
            return False
        found = provider_errors.found_in(_loads(content))
        if found is None and name == b"error":
            found = "", content.decode("utf-8", "replace")
        if found is not None:
            self.error = provider_errors.of_code(*found)
        return found is not None

    def _leniently(self, content: bytes) -> _Frame | None:
        """What the typed decoder refused, or None with `error` set: text would be missing."""
        body = _loads(content)
        try:
            if isinstance(body, dict):
                return _frame(body)
        except msgspec.ValidationError:
            pass
        self.error = ModelCutOff("the model's stream holds a frame that is no JSON object")
        return None

    def _paired(self, text: str) -> str:
        """``text`` with surrogate pairs joined across frames, and a last high half held back."""
        units = (self._half + text).encode("utf-16-le", "surrogatepass")
        self._half = ""
        if 0xD8 <= units[-1] <= 0xDB:
            self._half = units[-2:].decode("utf-16-le", "surrogatepass")
            units = units[:-2]
        return units.decode("utf-16-le", "replace")

    def _end(self) -> list[ModelEvent]:
        events: list[ModelEvent] = []
        ordered = [self._calls[index] for index in sorted(self._calls)]
        calls = tuple(ToolCall(*map(_repaired, parts)) for parts in ordered)
        if calls:
            events.append(ToolCalls(calls))
        usage, cached = self._usage, self._usage.prompt_tokens_details
        counted = Usage(
            usage.prompt_tokens or 0,
            usage.completion_tokens or 0,
            (cached.cached_tokens or 0) if cached is not None else 0,
        )
        events.append(Finished(self._reason or "stop", counted, self._sources))
        return events


def _says(raw: msgspec.Raw | None) -> bool:
    return raw is not None and bytes(raw) != _NULL


def _loads(content: bytes) -> Any:
    """JSON as lenient as it gets: lone surrogates stay, broken bytes become U+FFFD; else None."""
    try:
        return json.loads(content.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _frame(body: dict[str, Any]) -> _Frame:
    """A frame from decoded JSON. Raises msgspec.ValidationError."""
    known = {name: body[name] for name in ("choices", "usage") if body.get(name) is not None}
    frame = msgspec.convert(known, _Frame, strict=False)
    for name in ("web_search", "error", "code"):
        if body.get(name) is not None:
            setattr(frame, name, msgspec.Raw(json.dumps(body[name]).encode()))
    return frame


def _sources(raw: msgspec.Raw) -> tuple[Source, ...]:
    """What a customer can open: entries with a title and an http(s) link, each link once."""
    found: dict[str, Source] = {}
    entries = _loads(bytes(raw))
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        title, link = entry.get("title"), entry.get("link")
        if isinstance(title, str) and isinstance(link, str) and title.strip() and _opens(link):
            found.setdefault(link, Source(_repaired(title.strip()[:TITLE_CHARS]), link))
    return tuple(found.values())[:SOURCES]


def _opens(link: str) -> bool:
    if not link.isprintable() or " " in link:
        return False
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _repaired(text: str) -> str:
    """``text`` without lone surrogates."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
