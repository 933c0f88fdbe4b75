"""One connection through the proxy: requests one way, replies and pushes the other.

Replies carry no names, only their order. So the link keeps a row of what the client waits for, and
whatever befalls a reply was decided when its request went by. Pushes stand outside that row.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tests.chaos.resp import ENDLESS, PUSHES, SUBSCRIBES, NotResp, Splitter, words
from tests.chaos.resp_rules import (
    Cut,
    CutRequest,
    Delay,
    DelayRequest,
    Drop,
    DropRequest,
    Duplicate,
    Fault,
    Refuse,
    Repeat,
    Swap,
)

if TYPE_CHECKING:
    from tests.chaos.resp_proxy import RespProxy

PIECE = 1 << 16
ROOM = 256  # replies and pushes on their way to the client; beyond, the server must wait
STEPS_A_SECOND = 20  # of a slow line
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Awaited:
    """A reply that the client waits for, or the confirmations of a subscription."""

    fault: Fault | None = None
    unseen: bool = False  # of a repeated command: the client did not ask for it
    confirmations: int = 0
    endless: bool = False
    instead: bytes = b""  # the server knows of no such command


class Parcel(NamedTuple):
    """Bytes for the client, not before ``due``, ``late`` seconds after what was before them."""

    sent: bytes
    due: float
    late: float = 0.0
    end: "Cut | None" = None


class _Ended(Exception):
    """The connection is to end, as the Cut says."""

    def __init__(self, how: Cut) -> None:
        super().__init__(how)
        self.how = how


class Link:
    """A client's connection, and the one to the server behind it."""

    def __init__(self, proxy: "RespProxy", client: Streams, *, silent: bool) -> None:
        self.silent = silent  # nothing passes, either way
        self._proxy = proxy
        self._client = client
        self._server: Streams | None = None
        self._awaited: deque[Awaited] = deque()
        self._out: asyncio.Queue[Parcel] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._swapped = b""
        self._deaf = False  # the server hears no more
        self._mute = False  # the client hears no more replies
        self._follows = False  # has subscribed to something
        self._cut: asyncio.Future[Cut] = asyncio.get_running_loop().create_future()

    def fall_silent(self) -> None:
        self.silent = True

    def cut(self, *, reset: bool) -> None:
        if not self._cut.done():
            self._cut.set_result(Cut(reset=reset))

    async def run(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        """Until one side ends the connection, or a fault does."""
        how = Cut()
        try:
            if not self.silent:
                await self._proxy.passing()
                self._server = await connect()
            await self._pass_on()
        except _Ended as ended:
            how = ended.how
        except (ConnectionError, FileNotFoundError, RuntimeError):
            how = Cut(reset=True)  # the server is away, or one side went while it was written to
        except NotResp:
            self._proxy.counts["not RESP"] += 1
            how = Cut(reset=True)
        finally:
            for side in (self._server, self._client):
                if side is not None:
                    _close(side[1], reset=how.reset)

    async def _pass_on(self) -> None:
        parts = [self._requests(), self._replies(), self._deliver(), self._until_cut()]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_cut(self) -> None:
        raise _Ended(await self._cut)

    # -- requests -----------------------------------------------------------------------------

    async def _requests(self) -> None:
        splitter, endless = Splitter(inline=True), False
        while piece := await self._client[0].read(PIECE):
            if endless:
                await self._to_server(piece)
                continue
            batch = bytearray()
            for message in splitter.feed(piece):
                fault = self._ask(message)
                if isinstance(fault, CutRequest):
                    await self._to_server(batch)
                    raise _Ended(Cut(reset=fault.reset))
                if isinstance(fault, DelayRequest):
                    await self._to_server(batch)
                    batch.clear()
                    await asyncio.sleep(fault.s)
                if isinstance(fault, DropRequest):
                    await self._to_server(batch)
                    batch.clear()
                    self._deaf = True
                elif not isinstance(fault, Refuse):
                    batch += message * (2 if isinstance(fault, Repeat) else 1)
                endless = endless or bool(self._awaited and self._awaited[-1].endless)
            if endless:
                batch += splitter.rest()
            await self._to_server(batch)

    def _ask(self, message: bytes) -> Fault | None:
        """Put what ``message`` will bring into the row. Returns what shall befall it."""
        asked = words(message)
        if not asked:
            return None  # an empty line
        self._proxy.counts["requests"] += 1
        name = asked[0].upper()
        if name in SUBSCRIBES:
            self._follows = True
            self._awaited.append(Awaited(confirmations=max(len(asked) - 1, 1)))
            return None
        fault = self._proxy.fault(asked, message, push=False)
        if isinstance(fault, Repeat):
            self._awaited.append(Awaited(unseen=True))
        refusal = f"-{fault.error}\r\n".encode() if isinstance(fault, Refuse) else b""
        self._awaited.append(Awaited(fault, endless=name in ENDLESS, instead=refusal))
        self._refused()
        return fault

    async def _to_server(self, sent: bytes | bytearray) -> None:
        await self._proxy.passing()
        if sent and not self.silent and not self._deaf and self._server is not None:
            await self._pace(len(sent))
            self._server[1].write(bytes(sent))
            await self._server[1].drain()

    # -- replies and pushes -------------------------------------------------------------------

    async def _replies(self) -> None:
        if self._server is not None:
            splitter = Splitter()
            while piece := await self._server[0].read(PIECE):
                await self._room.wait()
                if self._awaited and self._awaited[0].endless:
                    self._send(piece)
                    continue
                for message in splitter.feed(piece):
                    if self._is_push(message):
                        self._push(message)
                    else:
                        self._reply(message)
        if not self.silent and not self._mute:
            self._send(b"", end=Cut())
        await asyncio.Event().wait()  # who hears nothing does not hear the end either

    def _is_push(self, message: bytes) -> bool:
        if message[:1] == b">":
            return True
        if not self._follows or message[:1] != b"*":
            return False
        said = words(message)
        return bool(said) and said[0] in PUSHES

    def _push(self, message: bytes) -> None:
        said = words(message)
        if said[0].upper() in SUBSCRIBES and self._awaited and self._awaited[0].confirmations:
            self._awaited[0].confirmations -= 1
            if not self._awaited[0].confirmations:
                self._awaited.popleft()
        self._proxy.counts["pushes"] += 1
        match self._proxy.fault(said, message, push=True):
            case Drop():
                pass
            case Swap():
                self._swapped += message
                return
            case Cut() as cut:
                self._send(message[: cut.sent], end=cut)
            case Delay(s):
                self._send(message, late=s)
            case Duplicate():
                self._send(message * 2)
            case _:
                self._send(message)
        self._send(self._swapped)
        self._swapped = b""
        self._refused()

    def _reply(self, message: bytes) -> None:
        self._proxy.counts["replies"] += 1
        awaited = self._awaited.popleft() if self._awaited else Awaited()
        if not awaited.unseen:
            match awaited.fault:
                case Drop():
                    self._mute = True
                case Cut() as cut:
                    self._send(message[: cut.sent], end=cut)
                case Delay(s):
                    self._send(message, late=s)
                case Duplicate():
                    self._send(message * 2)
                case _:
                    self._send(message)
        self._refused()

    def _refused(self) -> None:
        """Give the refusals that are next in the row."""
        while self._awaited and self._awaited[0].instead:
            self._send(self._awaited.popleft().instead)

    def _send(self, sent: bytes, *, late: float = 0.0, end: Cut | None = None) -> None:
        if (sent or end) and not self._mute:
            due = asyncio.get_running_loop().time() + self._proxy.latency_s
            self._out.put_nowait(Parcel(sent, due, late, end))
            if self._out.qsize() > ROOM:
                self._room.clear()

    async def _deliver(self) -> None:
        loop, writer = asyncio.get_running_loop(), self._client[1]
        while True:
            parcel = await self._out.get()
            if self._out.qsize() <= ROOM:
                self._room.set()
            await asyncio.sleep(max(parcel.due - loop.time(), 0) + parcel.late)
            await self._proxy.passing()
            if not self.silent:
                await self._write(writer, parcel.sent)
                if parcel.end is not None:
                    raise _Ended(parcel.end)

    async def _write(self, writer: asyncio.StreamWriter, sent: bytes) -> None:
        rate = self._proxy.bytes_per_s
        step = max(1, int(rate / STEPS_A_SECOND)) if rate else max(1, len(sent))
        for start in range(0, len(sent), step):
            piece = sent[start : start + step]
            await self._pace(len(piece))
            writer.write(piece)
            await writer.drain()

    async def _pace(self, count: int) -> None:
        if self._proxy.bytes_per_s:
            await asyncio.sleep(count / self._proxy.bytes_per_s)


def _close(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        end = writer.get_extra_info("socket")
        with suppress(OSError, AttributeError):  # None where the other side was first
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
