"""A worker that stood still closes its sockets; one that was only busy does not."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from service.core.errors import Shed
from service.edge import pause_watch as module
from service.edge.pause_watch import PauseWatch, awake_or_asleep
from service.edge.sockets import Sockets
from tests.edge.test_sockets import Peer, attached, ended


class Clock:
    """Moved by hand; ``looks`` counts who asks it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.01)


@asynccontextmanager
async def watched(sockets: Sockets, clock=awake_or_asleep):
    task = asyncio.create_task(PauseWatch(sockets, clock=clock).run())
    try:
        yield
    finally:
        task.cancel()


@pytest.fixture
def sockets():
    made = Sockets(a_customer=5, an_address=20)
    for conversation in ("c1", "c2"):
        made.add(attached(Peer(), conversation))
    return made


async def test_a_pause_longer_than_a_lease_closes_every_socket_once(sockets, eventually):
    clock = Clock()
    async with watched(sockets, clock):
        await eventually(lambda: clock.looks > 1)
        clock.now += 3.5
        await eventually(lambda: all(socket.refused for socket in sockets))
        late = attached(Peer(), "c3")  # it came afterwards
        sockets.add(late)
        looks = clock.looks
        await eventually(lambda: clock.looks > looks + 2)
        assert late.refused is None
    for socket in sockets:
        if socket is not late:
            with pytest.raises(Shed, match=r"3\.5 s"):
                await ended(socket)
    assert Shed.close_code == 4430


async def test_a_pause_within_a_lease_closes_none(sockets, eventually):
    clock = Clock()
    async with watched(sockets, clock):
        for _ in range(3):
            looks = clock.looks
            await eventually(lambda looks=looks: clock.looks > looks + 1)
            clock.now += 2.9
        looks = clock.looks
        await eventually(lambda: clock.looks > looks + 1)
    assert not [socket for socket in sockets if socket.refused]


async def test_a_blocked_loop_is_a_pause(sockets, eventually, monkeypatch):
    monkeypatch.setattr(module, "LEASE_MS", 100)
    async with watched(sockets):
        await asyncio.sleep(0.02)
        time.sleep(0.2)  # noqa: ASYNC251 - the fault itself
        await eventually(lambda: all(socket.refused for socket in sockets))
