"""Server-sent events, parsed from bytes as they arrive, without I/O.

A stream may be cut anywhere: inside a character, between the two bytes of a CRLF, before the blank
line that ends an event. Splitting bytes at line ends never splits a character, because UTF-8 has no
line end inside one; so only whole events are ever decoded, and nobody needs an incremental decoder.
"""

LINE_BYTES = 1 << 20  # a single event of the model is some 300 bytes; a web search's, some 100 KiB
BOM = b"\xef\xbb\xbf"

Event = tuple[bytes, bytes]  # its name (b"" where it has none) and its data


class EventTooLong(ValueError):
    """A line or an event above LINE_BYTES: not a stream that anybody should go on reading."""


class EventStream:
    """Takes bytes, gives whole events, as the WHATWG standard has it.

    Comments, `id:` and `retry:` are dropped. Unlike a browser, `close()` also gives a last event
    that no blank line ended: providers forget it.
    """

    def __init__(self) -> None:
        self._rest = b""  # a line whose end has not come yet
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0  # of what `_data` holds
        self._after_cr = False  # a CR was the last byte: an LF right after it ends no second line
        self._begun = False

    def feed(self, raw: bytes) -> list[Event]:
        """The events that ``raw`` completes. Raises EventTooLong."""
        if self._after_cr or b"\r" in raw:
            raw = self._plain(raw)
        if not self._begun:
            raw = self._without_bom(raw)
        lines = (self._rest + raw if self._rest else raw).split(b"\n")
        self._rest = lines.pop()
        events: list[Event] = []
        for line in lines:
            if line:
                self._take(line)
            elif self._data:
                events.append(self._whole())
            else:
                self._name = b""
        if len(self._rest) + self._size > LINE_BYTES:
            raise EventTooLong(f"an event of more than {LINE_BYTES} bytes")
        return events

    def close(self) -> list[Event]:
        """The last event, where the stream ended without the blank line after it."""
        if self._rest:
            self._take(self._rest)
            self._rest = b""
        return [self._whole()] if self._data else []

    def _take(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._size += len(value)
            self._data.append(value)
        elif line.startswith(b"event:"):
            self._name = line[6:].strip(b" ")
        elif line == b"data":  # a field without a colon is one with an empty value
            self._data.append(b"")

    def _whole(self) -> Event:
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        event = (self._name, data)
        self._data = []
        self._size = 0
        self._name = b""
        return event

    def _plain(self, raw: bytes) -> bytes:
        """``raw`` with every line end an LF: CRLF and a lone CR count as one too."""
        if self._after_cr and raw.startswith(b"\n"):
            raw = raw[1:]
            self._after_cr = False
            if not raw:
                return raw
        if raw:
            self._after_cr = raw.endswith(b"\r")
        return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_bom(self, raw: bytes) -> bytes:
        """``raw`` without a byte order mark, which may itself come in pieces."""
        raw = self._rest + raw
        self._rest = b""
        if len(raw) < len(BOM) and BOM.startswith(raw):
            self._rest = raw
            return b""
        self._begun = True
        return raw.removeprefix(BOM)
