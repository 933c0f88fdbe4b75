"""One customer's socket, once it has said hello: a cursor into the feed, and what is its alone.

There is no queue of logged frames. The sender takes everything after the cursor and sends it as one
array, so a slow reader gets larger arrays of the same bytes. Only acks, errors and other frames for
this socket alone are kept for it. Commands are taken one at a time, and none while more than
LAG_BYTES of those wait: who asks for histories and does not read them fills no memory.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator

from starlette.websockets import WebSocket

from service.core import wire
from service.core.errors import BadToken, Replaced, SocketRefused, TooManySockets, TooSlow
from service.core.model import Attached, Position
from service.edge import metrics
from service.edge.addresses import UNKNOWN, is_loopback
from service.flows.feed import Feed, Follower

LAG_BYTES = 256 * 1024  # behind the log; a socket further behind resumes by a snapshot instead
LAG_S = 15.0  # for one send; a reader that takes nothing for so long is gone
IDLE_BEAT_S = 25.0  # under half of the 60 s after which proxies drop a silent connection
BUSY_BEAT_S = 2.0  # while an answer runs: a dead connection is noticed within seconds
HEARTBEAT_MS = int(IDLE_BEAT_S * 1000)


class Socket:
    """What goes out to one customer's socket."""

    def __init__(self, websocket: WebSocket, conversation: str, feed: Feed) -> None:
        self.conversation = conversation
        self.feed = feed
        self.follower = Follower()
        self.refused: SocketRefused | None = None
        self.beat_at = 0.0
        self._websocket = websocket
        self._own: list[bytes] = []
        self._own_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._epoch = ""
        self._cursor = -1  # newest offset that was sent, or is among _own; -1 before the attach
        self._losses = feed.losses
        self._beats = 0

    @property
    def attached(self) -> bool:
        return self._cursor >= 0

    @property
    def lost(self) -> bool:
        """The feed could not supply what is missing: attach again."""
        return self._losses != self.feed.losses

    def attach(self, attached: Attached, limits: dict[str, int]) -> None:
        """Send what a client lacks, and follow the feed from there."""
        own = [wire.welcome(self.conversation, attached, heartbeat_ms=HEARTBEAT_MS, limits=limits)]
        if attached.mode == "replay":
            own.extend(attached.frames)
        else:
            own.append(wire.snapshot(attached))
        self.feed.begin(attached.epoch, attached.top, open=attached.turn is not None)
        self._losses = self.feed.losses
        self._epoch, self._cursor = attached.epoch, attached.top
        self.say(*own, *self.feed.latest())

    def say(self, *frames: bytes) -> None:
        """Send ``frames`` to this socket alone."""
        self._own.extend(frames)
        self._own_bytes += sum(map(len, frames))
        if self._own_bytes > LAG_BYTES:
            self._room.clear()
        self.follower.wake.set()

    async def room(self) -> None:
        """Until there is room for what another command may bring."""
        await self._room.wait()

    def refuse(self, error: SocketRefused) -> None:
        """Close with the error's code, after what is to be sent already."""
        self.refused = error
        self.follower.wake.set()

    def beat(self, now: float) -> None:
        """A heartbeat, where one is due; ``now`` in time.monotonic() seconds."""
        period = BUSY_BEAT_S if self.feed.open else IDLE_BEAT_S
        if now - self.beat_at >= period - 0.5:
            self.beat_at = now
            self._beats += 1
            self.say(wire.heartbeat(self._beats))

    async def send(self, attach_again: Callable[[Position], Awaitable[None]]) -> None:
        """Send what there is, for ever. Raises SocketRefused to close the socket."""
        while True:
            await self.follower.wake.wait()
            self.follower.wake.clear()
            if self.feed.revoked:
                raise BadToken("revoked")
            if self.attached and self.lost:
                await attach_again(Position(self._epoch, self._cursor))
            frames = self._take()
            if frames:
                await self._send(wire.together(frames))
            if self.refused is not None:
                raise self.refused

    def _take(self) -> list[bytes]:
        frames, self._own = self._own, []
        self._own_bytes = 0
        self._room.set()
        if self.attached and not self.lost:
            fresh = self.feed.after(self._cursor)
            if fresh is None or sum(map(len, fresh)) > LAG_BYTES:
                raise TooSlow(f"more than {LAG_BYTES} bytes behind")
            frames.extend(fresh)
            self._cursor += len(fresh)
            frames.extend(self.follower.passing)
            self.follower.passing.clear()
        return frames

    async def _send(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(LAG_S):
                await self._websocket.send_text(message.decode())
        except TimeoutError as error:
            raise TooSlow(f"took nothing for {LAG_S:g} s") from error


class Sockets:
    """All sockets of this worker, and how many one customer or one address may have."""

    def __init__(self, *, a_customer: int, an_address: int) -> None:
        self._a_customer = a_customer
        self._an_address = an_address
        self._by_conversation: dict[str, list[Socket]] = defaultdict(list)
        self._by_address: dict[str, int] = defaultdict(int)
        self._none = asyncio.Event()
        self._none.set()

    def __iter__(self) -> Iterator[Socket]:
        for sockets in list(self._by_conversation.values()):
            yield from sockets

    def enter(self, address: str) -> None:
        """Count a socket of ``address``. Raises TooManySockets; ``leave`` undoes it."""
        if self._by_address[address] >= self._an_address and not (
            is_loopback(address) or address == UNKNOWN
        ):
            raise TooManySockets(f"{self._an_address} sockets of one address")
        self._by_address[address] += 1
        metrics.sockets.inc()

    def leave(self, address: str) -> None:
        metrics.sockets.dec()
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]

    def add(self, socket: Socket) -> None:
        """Count a customer's socket; one too many closes the oldest."""
        sockets = self._by_conversation[socket.conversation]
        sockets.append(socket)
        self._none.clear()
        for oldest in sockets[: -self._a_customer]:  # one that was refused may still be closing
            oldest.refuse(Replaced(f"more than {self._a_customer} sockets"))

    def remove(self, socket: Socket) -> None:
        sockets = self._by_conversation[socket.conversation]
        if socket in sockets:
            sockets.remove(socket)
        if not sockets:
            del self._by_conversation[socket.conversation]
        if not self._by_conversation:
            self._none.set()

    async def gone(self) -> None:
        """Until there is no socket."""
        await self._none.wait()

    async def beat(self) -> None:
        """Heartbeats of all sockets, for ever, from one timer."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(BUSY_BEAT_S / 2)
            now = loop.time()
            for socket in self:
                if socket.attached:
                    socket.beat(now)
