"""What every implementation of ``flows.ports.Permits`` does: the real one, and its twin."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from service.core.permit_errors import PermitTimeout, QueueTooLong
from service.flows.ports import Permit, Permits, Priority
from service.store.permit_steps import Timing
from tests.support.permit_rig import Crew
from tests.support.twins.permits import MemoryPermits

LINGER_S = 0.2
SOON_S = 5.0
Open = Callable[[int], Awaitable[Permits]]


@pytest.fixture(params=["redis", "twin"])
async def open_permits(request, redis_url: str) -> AsyncIterator[Open]:
    """``await open_permits(tier)``: permits on which nothing has happened yet."""
    async with AsyncExitStack() as stack:

        async def on_redis(tier: int) -> Permits:
            timing = Timing(linger_s=LINGER_S)
            crew = await stack.enter_async_context(Crew(redis_url, tier=tier, timing=timing))
            permits = (await crew.worker("one")).permits
            async with ask(permits):
                pass  # the first epoch's window is over
            return permits

        async def in_memory(tier: int) -> Permits:
            return MemoryPermits(tier, linger_s=LINGER_S)

        yield on_redis if request.param == "redis" else in_memory


def ask(permits: Permits, flow: str = "flow", priority: Priority = "live", within=SOON_S, **more):
    return permits.acquire(flow=flow, priority=priority, deadline=time.monotonic() + within, **more)


class Queue:
    """Callers who wait, each until it is let go, and the order in which they got their permits."""

    def __init__(self, permits: Permits) -> None:
        self.permits = permits
        self.order: list[str] = []
        self.inside: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.places: dict[str, list[tuple[int, int]]] = {}

    async def join(self, name: str, flow: str = "flow", priority: Priority = "live", **more):
        """Queue; returns when the caller has its permit or its first place."""
        told = asyncio.Event()
        self.places[name] = []

        def place(position: int, eta: int) -> None:
            self.places[name].append((position, eta))
            told.set()

        async def call() -> None:
            async with ask(self.permits, flow, priority, place=place, **more):
                self.order.append(name)
                self.inside[name] = asyncio.Event()
                told.set()
                await self.inside[name].wait()

        self.tasks[name] = asyncio.create_task(call())
        async with asyncio.timeout(SOON_S):
            await told.wait()

    async def let_go(self, name: str) -> None:
        self.inside.pop(name).set()
        await self.tasks[name]

    async def serve(self, count: int, eventually) -> list[str]:
        """Let one after another go until ``count`` more have had their turn."""
        until = len(self.order) + count
        while len(self.order) < until:
            had = len(self.order)
            await self.let_go(next(iter(self.inside)))
            await eventually(lambda had=had: len(self.order) > had)
        return self.order[until - count :]

    async def empty(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


@pytest.fixture
async def queue(open_permits: Open) -> AsyncIterator[Queue]:
    """A queue before a single permit, which the caller "first" has."""
    made = Queue(await open_permits(1))
    await made.join("first")
    yield made
    await made.empty()


async def test_a_free_permit_is_granted_without_a_place(open_permits: Open):
    told: list[object] = []
    permits = await open_permits(2)
    async with ask(permits, place=lambda *place: told.append(place)) as permit:
        assert permit.id
        assert 0 <= permit.waited_ms < 1000
        assert time.monotonic() + 100 < permit.deadline < time.monotonic() + 120
    assert not told


async def test_there_are_never_more_inside_than_the_tier_and_all_get_in(open_permits: Open):
    permits = await open_permits(3)
    inside, most, done = 0, 0, 0

    async def call(number: int) -> None:
        nonlocal inside, most, done
        async with ask(permits, str(number % 7)):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.001 * (number % 5))
            inside -= 1
        done += 1

    await asyncio.gather(*(call(number) for number in range(60)))
    assert (most, done) == (3, 60)


async def test_a_flow_is_served_in_the_order_in_which_it_asked(queue: Queue, eventually):
    for name in "abcd":
        await queue.join(name)
    assert await queue.serve(4, eventually) == list("abcd")


async def test_flows_that_ask_once_are_served_in_the_order_in_which_they_asked(
    queue: Queue, eventually
):
    for name in "dbca":
        await queue.join(name, name)
    assert await queue.serve(4, eventually) == list("dbca")


async def test_a_flow_that_asks_often_does_not_hold_up_one_that_comes_later(
    queue: Queue, eventually
):
    for number in range(5):
        await queue.join(f"greedy{number}", "greedy")
    await queue.join("modest", "modest")
    assert "modest" in await queue.serve(2, eventually)


async def test_live_comes_before_background_that_asked_first(queue: Queue, eventually):
    await queue.join("summary", "indexer", "background")
    await queue.join("turn", "customer")
    assert await queue.serve(2, eventually) == ["turn", "summary"]


async def test_of_twenty_grants_one_is_background_s_even_while_live_waits(queue: Queue, eventually):
    await queue.join("summary", "indexer", "background")
    for number in range(25):
        await queue.join(f"turn{number}", f"customer{number}")
    served = await queue.serve(22, eventually)
    assert served.index("summary") == 19


async def test_background_leaves_room_for_a_customer(open_permits: Open, eventually):
    queue = Queue(await open_permits(5))
    for number in range(5):
        await queue.join(f"summary{number}", "indexer", "background")
    assert len(queue.order) == 3  # of 5, two are kept free
    await queue.join("turn", "customer")
    assert queue.order[-1] == "turn"
    await queue.empty()


async def test_who_queues_again_comes_first(queue: Queue, eventually):
    await queue.join("a", "a")
    await queue.join("b", "b")
    await queue.join("retry", "c", since=time.monotonic() - 1)
    await queue.join("older retry", "d", since=time.monotonic() - 2)
    assert await queue.serve(4, eventually) == ["older retry", "retry", "a", "b"]


async def test_a_waiter_learns_its_place_at_once_and_each_change(queue: Queue, eventually):
    for name in "abc":
        await queue.join(name, name)
    assert [queue.places[name][0][0] for name in "abc"] == [1, 2, 3]
    await queue.serve(1, eventually)
    await eventually(lambda: queue.places["c"][-1][0] == 2)


async def test_a_cancelled_waiter_gives_up_its_place(queue: Queue, eventually):
    for name in "abc":
        await queue.join(name, name)
    queue.tasks["b"].cancel()
    await eventually(queue.tasks["b"].done)
    await eventually(lambda: queue.places["c"][-1][0] == 2)
    assert await queue.serve(2, eventually) == ["a", "c"]


async def test_a_cancelled_holder_gives_its_permit_to_the_next(queue: Queue, eventually):
    await queue.join("a")
    queue.tasks["first"].cancel()
    await eventually(lambda: "a" in queue.order)


async def test_who_waits_to_its_deadline_gets_a_timeout_with_its_place(queue: Queue):
    await queue.join("a", "a")
    with pytest.raises(PermitTimeout) as refusal:
        async with ask(queue.permits, within=0.1):
            raise AssertionError("there was no permit")
    assert refusal.value.position == 2


async def test_a_timeout_leaves_nothing_in_the_queue(queue: Queue, eventually):
    with pytest.raises(PermitTimeout):
        async with ask(queue.permits, within=0.05):
            raise AssertionError("there was no permit")
    await queue.join("a")
    assert queue.places["a"][0][0] == 1


async def test_a_queue_that_is_too_long_is_refused_at_the_door(open_permits: Open):
    permits = await open_permits(1)
    if isinstance(permits, MemoryPermits):
        permits.hold_ms = 50
    for _ in range(10):
        async with ask(permits):
            await asyncio.sleep(0.05)  # what the real one learns the mean hold from
    queue = Queue(permits)
    await queue.join("first")
    for number in range(5):
        await queue.join(str(number))
    begun = time.monotonic()
    with pytest.raises(QueueTooLong) as refusal:
        async with ask(permits, within=0.2):
            raise AssertionError("there was no permit")
    assert time.monotonic() - begun < 0.2, "it was refused, not waited for"
    assert refusal.value.position == 6
    assert refusal.value.eta_ms > 200
    await queue.join("patient")
    assert queue.places["patient"][0][0] == 6, "the refused one left no trace"
    await queue.empty()


@pytest.mark.parametrize("outcome", ["ok", "1305", "aborted"])
async def test_only_an_aborted_request_s_permit_lingers(open_permits: Open, outcome: str):
    permits = await open_permits(1)
    async with ask(permits) as permit:
        permit.outcome = outcome
    begun = time.monotonic()
    async with ask(permits):
        waited = time.monotonic() - begun
    assert (waited >= LINGER_S * 0.9) == (outcome == "aborted")


async def test_a_body_that_raises_gives_back_an_aborted_permit(open_permits: Open):
    permits = await open_permits(1)
    begun = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        async with ask(permits):
            raise ZeroDivisionError
    async with ask(permits):
        assert time.monotonic() - begun >= LINGER_S * 0.9


async def test_cancelling_at_any_moment_leaks_no_permit(open_permits: Open, eventually):
    """A sweep: each caller is cancelled after one more turn of the loop than the one before."""
    permits = await open_permits(2)

    async def call() -> None:
        async with ask(permits) as permit:
            permit.outcome = "ok"
            await asyncio.sleep(0)

    for turns in range(40):
        tasks = [asyncio.create_task(call()) for _ in range(4)]
        for _ in range(turns):
            await asyncio.sleep(0.0002 if turns > 20 else 0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    held: list[Permit] = []
    async with ask(permits) as one, ask(permits) as two:
        held = [one, two]
    assert len({permit.id for permit in held}) == 2
