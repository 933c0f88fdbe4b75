"""RESP, as far as somebody in the middle needs it: where a message ends, and what it names.

Versions 2 and 3 of the protocol. The bytes are kept as they came; nothing is ever written anew.
"""

from collections.abc import Sequence

SIMPLE = frozenset(b"+-:_,#(")  # one line: status, error, number, null, double, boolean, big number
BULK = frozenset(b"$=!")  # a line with a length, then so many bytes: string, verbatim, blob error
AGGREGATE = {
    ord("*"): 1, ord("~"): 1, ord(">"): 1,  # array, set, push: so many values
    ord("%"): 2, ord("|"): 2,  # map, attribute: so many pairs
}  # fmt: skip
ATTRIBUTE = ord("|")

SUBSCRIBES = frozenset(
    {b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"UNSUBSCRIBE", b"PUNSUBSCRIBE", b"SUNSUBSCRIBE"}
)
SAID = frozenset({b"message", b"pmessage", b"smessage"})
PUSHES = SAID | {name.lower() for name in SUBSCRIBES}
ENDLESS = frozenset({b"PSYNC", b"SYNC", b"MONITOR"})  # from here on the bytes are no replies


class NotResp(ValueError):
    """Bytes that no client or server of this protocol sends."""


class Splitter:
    """Cuts a stream into whole messages. ``inline``: lines without a type are messages, too."""

    def __init__(self, *, inline: bool = False) -> None:
        self._inline = inline
        self._buffer = bytearray()
        self._at = 0  # scanned so far
        self._missing = 1  # values that the message still lacks

    def feed(self, piece: bytes) -> list[bytes]:
        """The messages that ``piece`` completes. Raises NotResp."""
        self._buffer += piece
        found = []
        while self._buffer and self._scan():
            found.append(bytes(self._buffer[: self._at]))
            del self._buffer[: self._at]
            self._at, self._missing = 0, 1
        return found

    def rest(self) -> bytes:
        """What was fed and is no whole message; it is forgotten here."""
        kept = bytes(self._buffer)
        self._buffer.clear()
        self._at, self._missing = 0, 1
        return kept

    def _scan(self) -> bool:
        """Scan on; True where a whole message ends at ``_at``."""
        while self._missing:
            end_of_line = self._buffer.find(b"\r\n", self._at)
            if end_of_line < 0:
                return False
            end = end_of_line + 2
            kind = self._buffer[self._at]
            if kind in BULK:
                size = self._number(end_of_line)
                end += size + 2 if size >= 0 else 0  # -1 is null: nothing follows
                if len(self._buffer) < end:
                    return False
            elif kind in AGGREGATE:
                self._missing += max(self._number(end_of_line), 0) * AGGREGATE[kind]
                self._missing += kind == ATTRIBUTE  # the value that it belongs to comes after it
            elif kind not in SIMPLE and not (self._inline and self._at == 0):
                raise NotResp(f"a value that begins with {bytes(self._buffer[self._at :][:20])!r}")
            self._missing -= 1
            self._at = end
        return True

    def _number(self, end_of_line: int) -> int:
        written = bytes(self._buffer[self._at + 1 : end_of_line])
        try:
            return int(written)
        except ValueError as error:
            raise NotResp(f"a length of {written!r}") from error


def words(message: bytes) -> Sequence[bytes]:
    """The elements of an array or a push of plain strings, and numbers; of an inline command, its
    words. What is nested ends the list.
    """
    if message[:1] not in (b"*", b">"):
        return message.split()
    found: list[bytes] = []
    count_end = message.index(b"\r\n")
    at = count_end + 2
    for _ in range(int(message[1:count_end])):
        end_of_line = message.index(b"\r\n", at)
        head, at = message[at:end_of_line], end_of_line + 2
        if head[:1] == b"$":
            size = int(head[1:])
            found.append(message[at : at + max(size, 0)])
            at += size + 2 if size >= 0 else 0
        elif head[:1] in (b"*", b">", b"%", b"~", b"|"):
            break
        else:
            found.append(head[1:])
    return found
