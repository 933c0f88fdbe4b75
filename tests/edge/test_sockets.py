"""Sockets: who reads too slowly, and how many one customer or one address may have."""

import asyncio
from contextlib import contextmanager

import pytest
from websockets.asyncio.client import connect

from service.core.errors import Replaced, TooManySockets, TooSlow
from service.core.model import Attached, Position
from service.edge import sockets as module
from service.edge.addresses import UNKNOWN
from service.edge.sockets import LAG_BYTES, Socket, Sockets
from service.flows.feed import Feed
from tests.support.instance import Instance

EMPTY = Attached(
    mode="snapshot", epoch="e1", top=0, status="assisted", generation=1, newest=0, site="pk_demo",
    turn=None, text="", frames=(), messages=(),
)  # fmt: skip


class Peer:
    """The far end of a socket, as Starlette shows it: takes messages only while it reads."""

    def __init__(self, *, reads: bool = True) -> None:
        self.got: list[str] = []
        self.reading = asyncio.Event()
        if reads:
            self.reading.set()

    async def send_text(self, message: str) -> None:
        await self.reading.wait()
        self.got.append(message)


def attached(peer: Peer, conversation: str = "c1", feed: Feed | None = None) -> Socket:
    feed = feed or Feed(conversation)
    socket = Socket(peer, conversation, feed)
    feed.followers.add(socket.follower)
    socket.attach(EMPTY, {})
    return socket


async def never(position: Position) -> None:
    raise AssertionError(f"attached again at {position}")


async def ended(socket: Socket) -> None:
    async with asyncio.timeout(5):
        await socket.send(never)


def delta(offset: int, size: int) -> bytes:
    return b'{"o":%d,"type":"answer.delta","text":"%s"}' % (offset, b"x" * size)


async def test_what_a_slow_reader_missed_comes_as_one_array_of_the_same_bytes(eventually):
    peer = Peer(reads=False)
    socket = attached(peer)
    sending = asyncio.create_task(socket.send(never))
    await asyncio.sleep(0)
    frames = [delta(offset, 10) for offset in (1, 2, 3)]
    for offset, frame in enumerate(frames, 1):
        socket.feed.put(offset, [frame])
    peer.reading.set()
    await eventually(lambda: len(peer.got) == 2)
    assert peer.got[1] == f"[{b','.join(frames).decode()}]"
    sending.cancel()


async def test_who_is_further_behind_than_the_bound_is_closed():
    peer = Peer()
    socket = attached(peer)
    socket.feed.put(1, [delta(offset, LAG_BYTES // 4) for offset in range(1, 5)])
    with pytest.raises(TooSlow, match="bytes behind"):
        await ended(socket)
    assert TooSlow.close_code == 4410 and peer.got == []


async def test_just_within_the_bound_is_sent(eventually):
    peer = Peer()
    socket = attached(peer)
    socket.feed.put(1, [delta(1, LAG_BYTES - 100)])
    sending = asyncio.create_task(socket.send(never))
    await eventually(lambda: peer.got)
    sending.cancel()


async def test_a_reader_that_takes_nothing_is_closed(monkeypatch):
    monkeypatch.setattr(module, "LAG_S", 0.05)
    with pytest.raises(TooSlow, match="took nothing"):
        await ended(attached(Peer(reads=False)))


async def test_who_asks_for_much_and_reads_none_of_it_is_not_served_further(eventually):
    peer = Peer(reads=False)
    socket = attached(peer)
    sending = asyncio.create_task(socket.send(never))
    await asyncio.sleep(0)
    socket.say(b"x" * LAG_BYTES)
    await socket.room()  # that much may wait
    socket.say(b"x")
    served = asyncio.create_task(socket.room())
    await asyncio.sleep(0)
    assert not served.done()
    peer.reading.set()
    await served
    sending.cancel()


def beats(socket: Socket, *seconds: float) -> list[float]:
    """Those of ``seconds`` at which a heartbeat went out."""
    beaten = []
    for now in seconds:
        before = socket.beat_at
        socket.beat(now)
        if socket.beat_at != before:
            beaten.append(now)
    return beaten


async def test_heartbeats_are_rare_in_an_idle_room_and_frequent_while_an_answer_runs():
    socket = attached(Peer())
    assert beats(socket, 100.0, 102.0, 124.0, 125.0, 127.0) == [100.0, 125.0]
    socket.feed.put(1, [delta(1, 1)])
    assert socket.feed.open
    assert beats(socket, 127.0, 128.0, 129.0, 131.0) == [127.0, 129.0, 131.0]


@contextmanager
def entered(sockets: Sockets, address: str, count: int):
    for _ in range(count):
        sockets.enter(address)
    yield
    for _ in range(count):
        sockets.leave(address)


def test_an_address_has_so_many_sockets_and_may_have_others_once_some_are_gone():
    sockets = Sockets(a_customer=5, an_address=2)
    with entered(sockets, "203.0.113.7", 2):
        with pytest.raises(TooManySockets):
            sockets.enter("203.0.113.7")
        with entered(sockets, "203.0.113.8", 2):
            pass
    with entered(sockets, "203.0.113.7", 2):
        pass


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", UNKNOWN])
def test_this_machine_and_who_has_no_address_are_not_counted(address):
    sockets = Sockets(a_customer=5, an_address=2)
    with entered(sockets, address, 9):
        pass


async def test_one_socket_too_many_of_a_customer_closes_the_oldest_alone():
    sockets = Sockets(a_customer=2, an_address=20)
    mine = [attached(Peer()) for _ in range(3)]
    others = attached(Peer(), "c2")
    for socket in (*mine, others):
        sockets.add(socket)
    assert isinstance(mine[0].refused, Replaced)
    assert not any(socket.refused for socket in (*mine[1:], others))
    for socket in (*mine, others, others):
        sockets.remove(socket)
    assert list(sockets) == []


async def test_several_too_many_are_all_closed_though_the_oldest_are_still_closing():
    sockets = Sockets(a_customer=2, an_address=20)
    mine = [attached(Peer()) for _ in range(5)]
    for socket in mine:
        sockets.add(socket)
    assert [socket.refused is not None for socket in mine] == [True, True, True, False, False]


async def test_behind_a_trusted_proxy_the_customers_own_address_is_counted(edge_valkey, simulator):
    settings = {"PARLEY_TRUSTED_PROXIES": "127.0.0.1/32", "PARLEY_SOCKETS_PER_ADDRESS": "2"}
    with Instance(edge_valkey.url, simulator.url, workers=1, **settings) as instance:

        def socket(address: str):
            return connect(
                instance.websocket, origin=instance.url, subprotocols=["parley.v1"], proxy=None,
                additional_headers={"x-forwarded-for": address},
            )  # fmt: skip

        async with (
            socket("9.9.9.9, 203.0.113.7"),
            socket("203.0.113.7"),
            socket("203.0.113.8"),
            socket("203.0.113.7") as third,
        ):
            await third.wait_closed()
            assert third.close_code == 4429
