"""A drain: who is sent away when, and how long the worker waits for whom."""

import asyncio
import json
import time

import pytest

from service.edge.drain import LEFT_S, Drain, spread
from service.edge.sockets import Sockets
from tests.edge.test_sockets import Peer, attached, delta, never


class Turns:
    """The turns of a worker, as a drain sees them; ``waited`` is the time that they were given."""

    waited: float | None = None

    async def drain(self, timeout_s: float) -> int:
        self.waited = timeout_s
        return 0


class Room:
    """A worker's sockets, each with its far end and a task that sends to it."""

    def __init__(self) -> None:
        self.sockets = Sockets(a_customer=5, an_address=20)
        self.peers: dict[str, Peer] = {}
        self._open = []
        self._sending: list[asyncio.Task[None]] = []

    def come(self, conversation: str, *, busy: bool = False) -> None:
        peer = self.peers[conversation] = Peer()
        socket = attached(peer, conversation)
        if busy:
            socket.feed.put(1, [delta(1, 1)])
        self.sockets.add(socket)
        self._open.append(socket)
        self._sending.append(asyncio.create_task(socket.send(never)))

    def leave(self) -> None:
        for socket in self._open:
            self.sockets.remove(socket)

    def close(self) -> None:
        for task in self._sending:
            task.cancel()

    def told(self, conversation: str) -> list[int]:
        """The time that each `goaway` gave, ms."""
        frames = []
        for message in self.peers[conversation].got:
            read = json.loads(message)
            frames += read if isinstance(read, list) else [read]
        return [frame["after_ms"] for frame in frames if frame["type"] == "goaway"]


@pytest.fixture
async def room():
    made = Room()
    yield made
    made.close()


async def test_idle_sockets_are_sent_away_first_and_those_with_a_running_answer_last(
    room, eventually
):
    for number in range(40):
        room.come(f"c{number}", busy=number % 2 == 0)
    draining = asyncio.create_task(Drain(room.sockets, Turns(), by=time.monotonic() + 20).run())
    await eventually(lambda: all(room.told(name) for name in room.peers))
    told = {name: room.told(name) for name in room.peers}
    assert all(len(times) == 1 for times in told.values())
    idle = [times[0] for name, times in told.items() if int(name[1:]) % 2]
    busy = [times[0] for name, times in told.items() if not int(name[1:]) % 2]
    assert 0 <= min(idle) < max(idle) <= 1000 <= min(busy) < max(busy) <= 2000
    assert len(set(idle)) > 10, "not all at once"
    room.leave()
    await draining


async def test_the_answers_get_what_is_left_once_all_sockets_have_gone(room, eventually):
    room.come("c1")
    turns = Turns()
    draining = asyncio.create_task(Drain(room.sockets, turns, by=time.monotonic() + 20).run())
    await eventually(lambda: room.told("c1"))
    assert turns.waited is None
    room.leave()
    await asyncio.wait_for(draining, 5)
    assert turns.waited is not None and 10 < turns.waited <= 20 - LEFT_S


async def test_a_socket_that_stays_is_waited_for_only_as_long_as_it_was_told(room):
    room.come("c1", busy=True)
    turns, began = Turns(), time.monotonic()
    await Drain(room.sockets, turns, by=began + 1.3).run()
    took = time.monotonic() - began
    assert room.told("c1")[0] / 1000 <= took
    assert turns.waited is not None and took + turns.waited <= 1.3 - LEFT_S + 0.05


async def test_a_worker_without_sockets_is_drained_at_once(room):
    turns, began = Turns(), time.monotonic()
    await Drain(room.sockets, turns, by=began + 30).run()
    assert turns.waited is not None and time.monotonic() - began < 1


async def test_a_drain_without_time_gives_the_answers_none(room):
    room.come("c1")
    turns = Turns()
    await Drain(room.sockets, turns, by=time.monotonic() - 1).run()
    assert turns.waited == 0.0


@pytest.mark.parametrize(
    ("sockets", "left_s", "wanted"),
    [(0, 30, 1.0), (200, 30, 1.0), (2000, 30, 4.0), (20_000, 30, 7.5), (200, 2, 0.5), (5, 0, 0.0)],
)
def test_many_sockets_are_spread_over_more_time_as_far_as_there_is_any(sockets, left_s, wanted):
    assert spread(sockets, left_s) == wanted
