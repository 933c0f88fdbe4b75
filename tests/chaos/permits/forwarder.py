"""An address that stays while what is behind it changes, as a failover moves a service's name."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PIECE_BYTES = 1 << 16


class Forwarder:
    """Hands each connection to the unix socket ``target``; refuses all while that is None."""

    def __init__(self, target: Path | None) -> None:
        self.target = target
        self.port = 0
        self._open: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def open(cls, target: Path | None) -> "AsyncIterator[Forwarder]":
        """On a free port of 127.0.0.1, until the context ends."""
        forwarder = cls(target)
        server = await asyncio.start_server(forwarder._accepted, "127.0.0.1", 0)
        forwarder.port = server.sockets[0].getsockname()[1]
        try:
            yield forwarder
        finally:
            server.close()
            await forwarder.switch(None)

    async def switch(self, target: Path | None) -> None:
        """Cut every connection, as it stands; new ones go to ``target``."""
        self.target = target
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await self._forward(reader, writer)
        writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.target is None:
            return
        back, there = await asyncio.open_unix_connection(self.target)
        ways = [asyncio.create_task(_copy(reader, there)), asyncio.create_task(_copy(back, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            there.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
