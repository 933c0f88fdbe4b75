"""The bytes of one connection to Redis, after redis-py has opened it.

redis-py knows addresses, TLS and AUTH; then this protocol takes its transport over, because what
follows happens thousands of times a second. Reading through a stream wakes a task for every piece
that arrives; here replies are parsed where they arrive. Whatever is sent within one turn of the
event loop is written in one piece, at its end.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import hiredis
from redis.asyncio.connection import Connection
from redis.exceptions import ResponseError

from service.core.errors import StoreUnavailable

Argument = bytes | str | int
pack = cast(Callable[[tuple[Argument, ...]], bytes], hiredis.pack_command)  # stub too narrow


class Replies(asyncio.Protocol):
    """``got`` is called with each reply in order: RESP2 types, errors as ResponseError."""

    def __init__(self, got: Callable[[Any], None]) -> None:
        self._got = got
        self._reader = hiredis.Reader(protocolError=StoreUnavailable, replyError=_refusal)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._unwritten: list[bytes] = []
        self._scheduled = False
        self._paused = False
        self.lost: asyncio.Future[None] = self._loop.create_future()

    @classmethod
    def over(cls, connection: Connection, got: Callable[[Any], None]) -> "Replies":
        """Take over a connected ``connection``, all of whose replies have been read."""
        writer = connection._writer  # redis-py has no public name for it
        assert writer is not None
        self = cls(got)
        self._transport = cast(asyncio.Transport, writer.transport)
        self._transport.set_protocol(self)
        self._transport.resume_reading()  # its stream may have paused it
        return self

    def write(self, packed: bytes) -> None:
        """Write ``packed`` when the loop has come round; behind what waits, if the peer is slow."""
        self._unwritten.append(packed)
        if not self._scheduled and not self._paused:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    async def serve(self) -> None:
        """Until the connection is lost: raises StoreUnavailable."""
        await self.lost

    def close(self) -> None:
        """No reply is delivered any more."""
        self._got = _to_nobody
        self._transport.abort()
        if not self.lost.cancel() and not self.lost.cancelled():
            self.lost.exception()  # told, or nobody's concern any more

    def _flush(self) -> None:
        self._scheduled = False
        if self._unwritten and not self._transport.is_closing():
            unwritten, self._unwritten = self._unwritten, []
            self._transport.write(b"".join(unwritten))

    # -- called by the loop ---------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not False:
                self._got(reply)
        except StoreUnavailable as error:
            self.lose(f"Redis sent what is no reply: {error}")

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        self.lose(f"the connection to Redis broke: {error or 'it was closed'}")

    def lose(self, why: str) -> None:
        """End it: whoever serves gets StoreUnavailable."""
        if not self.lost.done():
            self.lost.set_exception(StoreUnavailable(why))


def _refusal(text: str) -> ResponseError:
    return ResponseError(text.removeprefix("ERR "))


def _to_nobody(reply: Any) -> None:
    pass
