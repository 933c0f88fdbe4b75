"""Servers that restart, with and without their data, while permits are held: never over the tier.

Each test has a server of its own, because it kills it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.core.errors import StoreUnavailable
from service.store.permit_steps import Timing
from tests.support.eventually import eventually as eventually_true
from tests.support.permit_rig import Crew, Worker, leave
from tests.support.valkey import Valkey

LINGER_S = 0.3
TIER = 6


@pytest.fixture(params=["empty", "with its data"])
def server(request, tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path, durable=request.param != "empty") as server:
        yield server


@pytest.fixture
async def crew(server: Valkey) -> AsyncIterator[Crew]:
    async with Crew(server.url, tier=TIER, timing=Timing(linger_s=LINGER_S)) as crew:
        yield crew


async def restart(server: Valkey, crew: Crew, *workers: Worker) -> None:
    """Kill the server, start it, and wait until ``workers`` are registered in its new epoch."""
    before = (await crew.state()).epoch
    server.kill()
    server.start()
    await eventually_true(in_a_later_epoch(before, *workers))
    await eventually_true(without_error(crew.state))


def in_a_later_epoch(before: str, *workers: Worker):
    def check() -> bool:
        epochs = {worker.pump.book.known.epoch for worker in workers}
        registered = all(worker.permits.registered for worker in workers)
        return registered and before not in epochs and len(epochs) == 1

    return check


def without_error(check):
    async def tried() -> bool:
        try:
            return bool(await check())
        except StoreUnavailable as error:
            raise AssertionError(str(error)) from error

    return tried


class Queue:
    """Callers who note when they are served, and hold."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def join(self, name: str, worker: Worker, flow: str = "flow") -> None:
        told = asyncio.Event()

        async def call() -> None:
            place = worker.acquire(flow, within=60, place=lambda position, eta: told.set())
            async with place:
                self.served.append(name)
                await asyncio.Event().wait()

        self._tasks.append(asyncio.create_task(call()))
        await asyncio.wait_for(told.wait(), 5)

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def queue() -> AsyncIterator[Queue]:
    queue = Queue()
    yield queue
    await queue.end()


async def test_holders_register_again_and_the_tier_is_kept(
    server: Valkey, crew: Crew, queue: Queue, eventually
):
    one, two = await crew.worker("one"), await crew.worker("two")
    held = [*await one.take(4), *await two.take(2)]
    await queue.join("waiter", two)
    await restart(server, crew, one, two)

    async def recovered() -> bool:
        state = await crew.state()
        assert state.used == TIER, "no more and no fewer than are held"
        return not state.recovering

    await eventually(recovered)
    assert not queue.served
    await leave(held[0])
    await eventually(lambda: queue.served == ["waiter"])
    assert (await crew.state()).used == TIER


async def test_waiters_keep_their_order_over_the_restart(
    server: Valkey, crew: Crew, queue: Queue, eventually
):
    one, two = await crew.worker("one"), await crew.worker("two")
    held = await one.take(TIER)
    for name, worker in zip("abcdef", (one, two) * 3, strict=True):
        await queue.join(name, worker, flow="shared")
    await restart(server, crew, one, two)
    for count, holder in enumerate(held, 1):
        await leave(holder)
        await eventually(lambda count=count: len(queue.served) == count)
    assert queue.served == list("abcdef")


async def test_a_worker_that_is_silent_over_the_restart_keeps_its_permits_counted(
    server: Valkey, crew: Crew, queue: Queue, eventually
):
    one, two = await crew.worker("one"), await crew.worker("two")
    await one.take(4)
    held = await two.take(2)
    await eventually(lambda: {"one", "two"} <= set(two.pump.book.known.roster))
    for name in "abc":
        await queue.join(name, two, flow=name)
    await one.silence()
    await restart(server, crew, two)
    await crew.leap(20)
    state = await crew.state()
    assert (state.recovering, state.admissible, state.absent) == (True, 2, ["one"])
    assert not queue.served, "four more may be in flight"
    await leave(held[0])
    await eventually(lambda: queue.served == ["a"], what="what is free is used all the same")
    one.resume()
    await eventually(_used(crew, TIER))
    assert queue.served == ["a"]


def _used(crew: Crew, count: int):
    async def check() -> bool:
        state = await crew.state()
        assert (state.used, state.recovering) == (count, False)
        return True

    return check


async def test_a_fence_notice_for_the_silent_one_ends_the_recovery(
    server: Valkey, crew: Crew, queue: Queue, eventually
):
    one, two = await crew.worker("one"), await crew.worker("two")
    await one.take(4)
    await two.take(2)
    await eventually(lambda: {"one", "two"} <= set(two.pump.book.known.roster))
    for name in "abcde":
        await queue.join(name, two, flow=name)
    await one.silence()
    await restart(server, crew, two)
    await crew.leap(3)
    assert not queue.served
    await crew.office.fence("one")
    assert not queue.served, "not before the linger"
    await eventually(lambda: len(queue.served) == 4)
    assert (await crew.state()).used == TIER


async def test_a_notice_that_comes_before_the_roster_counts_too(
    server: Valkey, crew: Crew, queue: Queue, eventually
):
    one, two = await crew.worker("one"), await crew.worker("two")
    await one.take(4)
    held = await two.take(2)
    await eventually(lambda: {"one", "two"} <= set(two.pump.book.known.roster))
    await one.silence()
    await two.silence()
    before = (await crew.state()).epoch
    server.kill()
    server.start()

    async def noticed() -> bool:
        return bool(await crew.office.fence("one"))

    await eventually(without_error(noticed))
    two.resume()
    await eventually(in_a_later_epoch(before, two))
    await eventually(_used(crew, 2))
    for holder in held:
        await leave(holder)


async def test_recovery_ends_by_itself_when_no_request_of_the_absent_can_still_run(
    server: Valkey, crew: Crew, queue: Queue, eventually
):
    one, two = await crew.worker("one"), await crew.worker("two")
    await one.take(4)
    await two.take(2)
    await eventually(lambda: {"one", "two"} <= set(two.pump.book.known.roster))
    await queue.join("a", two)
    await one.silence()
    await restart(server, crew, two)
    await crew.leap(110)
    assert not queue.served
    await crew.leap(15)
    await eventually(lambda: queue.served == ["a"])


async def test_what_was_released_while_the_server_was_away_is_free_again(
    server: Valkey, crew: Crew, eventually
):
    one = await crew.worker("one")
    held = await one.take(3)
    before = (await crew.state()).epoch
    server.kill()
    for holder in held:
        await leave(holder)
    server.start()
    await eventually(in_a_later_epoch(before, one))
    await eventually(without_error(crew.state))
    await eventually(_used(crew, 0))
    assert [permit.id for _, permit in await one.take(TIER)]


async def test_permit_ids_of_two_epochs_never_meet(server: Valkey, crew: Crew, eventually):
    one = await crew.worker("one")
    old = await one.take(3)
    await restart(server, crew, one)
    new = await one.take(3)
    ids = {permit.id for _, permit in (*old, *new)}
    assert len(ids) == 6
    assert (await crew.state()).used == 6


async def test_the_tier_and_the_pace_outlive_an_empty_restart(
    server: Valkey, crew: Crew, eventually
):
    one = await crew.worker("one")
    async with one.acquire():
        await asyncio.sleep(0.05)
    await crew.office.set_limit(3)
    await eventually(lambda: one.pump.book.known.tier == 3)
    await eventually(lambda: one.pump.book.known.hold_us > 0)
    await restart(server, crew, one)
    state = await crew.state()
    assert (state.tier, state.cap) == (TIER, 3)
    assert state.hold_ms >= 50


async def test_nothing_is_granted_in_the_first_window_of_a_server(crew: Crew):
    """Who else has just lost a server needs time to say so."""
    one = await crew.worker("one")
    async with one.acquire() as permit:
        assert permit.waited_ms >= LINGER_S * 1000 * 0.8


async def test_a_short_outage_is_nothing_to_a_waiter(
    server: Valkey, crew: Crew, queue: Queue, eventually
):
    one = await crew.worker("one")
    held = await one.take(TIER)
    await queue.join("a", one)
    server.pause()
    await leave(held[0])
    server.resume()
    await eventually(lambda: queue.served == ["a"])
    assert (await crew.state()).used == TIER


async def test_a_supervisor_s_word_keeps_a_stopped_worker_counted_that_no_roster_knows(
    server: Valkey, crew: Crew, eventually
):
    """It joined, took permits and was stopped before any other worker heard of it."""
    one = await crew.worker("one")
    two = await crew.worker("two")
    held = await two.take(TIER - 1)
    await two.silence()
    one.pump.book.known.roster = ["one"]
    server.kill()
    server.start()
    await eventually(without_error(lambda: said(crew, "two")))
    await eventually(lambda: one.permits.registered)
    waiting = asyncio.create_task(one.take(2, within=60))
    await asyncio.sleep(LINGER_S * 2)
    state = await crew.state()
    assert (state.recovering, state.absent, state.admissible) == (True, ["two"], 0)
    two.resume()
    await eventually(lambda: one.permits.held == 1)
    assert (await crew.state()).used == TIER
    await leave(held[0])
    await waiting


async def said(crew: Crew, session: str) -> bool:
    await crew.office.expect(session)
    return True


async def test_a_supervisor_s_word_changes_nothing_for_who_is_registered_fenced_or_long_known(
    server: Valkey, crew: Crew, eventually
):
    one = await crew.worker("one")
    async with one.acquire():
        pass  # the first window is over
    await crew.office.fence("dead")
    for session in ("one", "dead"):
        await crew.office.expect(session)
    assert not (await crew.state()).recovering
    await crew.office.expect("starting")
    assert (await crew.state()).absent == ["starting"]
    await crew.worker("starting")
    assert not (await crew.state()).recovering
    await crew.leap(121)
    await crew.office.expect("unheard-of")
    assert not (await crew.state()).recovering


async def test_a_worker_without_anything_to_say_comes_back_as_soon_as_the_server_does(
    server: Valkey, crew: Crew, eventually
):
    """Before the window of who has never known another epoch can end."""
    one = await crew.worker("one")
    one.office.timing = one.office.timing._replace(heartbeat_s=3600)
    one.pump._heartbeat_at = float("inf")
    await restart(server, crew, one)


async def test_a_new_server_waits_for_a_silent_session_as_if_it_had_just_been_heard(
    server: Valkey, crew: Crew, eventually
):
    """A replica that lags has not heard of its return, nor of what it was granted since."""
    one, two = await crew.worker("one"), await crew.worker("two")
    await one.take(2)
    await eventually(lambda: "one" in two.pump.book.known.roster)
    await one.silence()
    await crew.leap(100)
    await restart(server, crew, two)
    await crew.leap(60)
    assert (await crew.state()).absent == ["one"]
    await crew.leap(61)
    assert not (await crew.state()).recovering
