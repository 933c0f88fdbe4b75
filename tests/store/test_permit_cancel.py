"""Who is cancelled at any await, and wherever the step is by then, leaves nothing behind.

A caller has few awaits of its own, but much happens during each: so it is cancelled as each begins
and as each ends, and where it waits for its permit, at every stage of the step that asks for it.
Afterwards the worker holds nothing, Redis counts nothing, and the next caller is served at once.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from typing import Any, Literal

import pytest

from service.core.errors import StoreUnavailable
from service.core.permit_errors import PermitsUnavailable, PermitTimeout
from service.core.queueing import HeldPermit, Waiter
from service.store.connection import Argument
from service.store.permit_book import Batch
from service.store.permit_office import PermitOffice
from service.store.permit_steps import Known, Reply, Timing, acquisition, registration
from service.store.permits import Acquisition
from tests.support.eventually import eventually
from tests.support.permit_rig import Crew, Worker, leave

AT_ONCE_S = 1.0  # for the next caller: far less than any pause that would hide a leak
AWAITS = 4  # of ``use``
# No heartbeat, which finds and mends what a caller has leaked, and no lease that ends without one.
UNMENDED = Timing(linger_s=0.0, lease_s=600.0, heartbeat_s=600.0)

Moment = Literal["begins", "ends"]
Stage = Literal["not sent", "executed"]
STAGES: tuple[Stage, ...] = ("not sent", "executed")


class CancelledAt:
    """Awaits ``inner`` and cancels the task as ``inner``'s ``number``-th suspension begins or ends.

    As it ends: what was awaited has its result, and the task has not run again yet. With ``again``
    every later suspension is cancelled, too.
    """

    def __init__(
        self, inner: Coroutine[Any, Any, None], number: int, moment: Moment, *, again: bool = False
    ) -> None:
        self._inner = inner
        self._number = number
        self._moment = moment
        self._again = again
        self.suspensions = 0

    def __await__(self) -> Generator[Any, None, None]:
        error: BaseException | None = None
        while True:
            try:
                awaited = self._inner.send(None) if error is None else self._inner.throw(error)
            except StopIteration:
                return
            self._suspended(awaited)
            error = None
            try:
                yield awaited
            except BaseException as raised:
                error = raised

    def _suspended(self, awaited: "asyncio.Future[Any] | None") -> None:
        self.suspensions += 1
        if self.suspensions < self._number or (self.suspensions > self._number and not self._again):
            return
        task = asyncio.current_task()
        assert task is not None
        if self._moment == "begins" or awaited is None:
            task.cancel()
        else:
            awaited.add_done_callback(lambda _: task.cancel())


async def run(awaitable: Awaitable[None]) -> None:
    await awaitable


async def use(acquisition: Acquisition) -> None:
    """What every request does: wait, connect, read, close."""
    async with acquisition as permit:
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            permit.outcome = "ok"
        finally:
            await asyncio.sleep(0)


async def use_for_ever(acquisition: Acquisition) -> None:
    async with acquisition:
        await asyncio.Event().wait()


async def hold(acquisition: Acquisition) -> HeldPermit:
    return await acquisition.__aenter__()


@pytest.fixture
async def crew(redis_url: str) -> AsyncIterator[Crew]:
    async with Crew(redis_url, tier=1, timing=UNMENDED) as crew:
        yield crew


@pytest.fixture
async def one(crew: Crew) -> Worker:
    return await crew.worker("one")


@pytest.fixture
async def two(crew: Crew) -> Worker:
    return await crew.worker("two")


async def nothing_is_left(crew: Crew, *workers: Worker) -> None:
    """No permit, no waiter, here or there; and the next caller of each worker is served at once."""

    async def empty() -> bool:
        state = await crew.state()
        assert (state.used, state.waiting) == (0, 0)
        for worker in workers:
            assert (worker.pump.book.held, worker.pump.book.waiters) == ({}, {})
        return True

    await eventually(empty, every=0.002, what="nothing held, and nobody waiting")
    for worker in workers:
        async with worker.acquire(within=AT_ONCE_S):
            pass
    await eventually(empty, every=0.002)


async def nobody_waits(crew: Crew) -> None:
    """Who has gone is out of the queue before its turn comes, and nobody's ETA counts it."""

    async def check() -> bool:
        return (await crew.state()).waiting == 0

    await eventually(check, every=0.002, what="out of the queue")


async def ended(task: "asyncio.Task[Any]") -> BaseException | None:
    """How ``task`` ended."""
    await asyncio.wait([task])
    return asyncio.CancelledError() if task.cancelled() else task.exception()


async def queued_or_over(crew: Crew, task: "asyncio.Task[Any]") -> None:
    async def check() -> bool:
        return task.done() or (await crew.state()).waiting > 0

    await eventually(check, every=0)


# -- every await ------------------------------------------------------------------------------


async def sweep(
    crew: Crew, worker: Worker, holder: Worker | None, moment: Moment, *, again: bool
) -> int:
    """Cancel at the first suspension, then at the second, ... Returns how many there are.

    With a ``holder``, the only permit is its own until the caller waits for it.
    """
    number = 0
    while True:
        number += 1
        taken = await holder.take(1) if holder else []
        cancelled = CancelledAt(use(worker.acquire()), number, moment, again=again)
        task = asyncio.create_task(run(cancelled))
        for holding in taken:
            await queued_or_over(crew, task)
            await leave(holding)
        error = await ended(task)
        await nothing_is_left(crew, *{worker, holder or worker})
        if error is None:
            assert cancelled.suspensions == number - 1
            return cancelled.suspensions
        assert isinstance(error, asyncio.CancelledError)


again = pytest.mark.parametrize("again", [False, True], ids=["once", "again and again"])
moments = pytest.mark.parametrize("moment", ["begins", "ends"])


@again
@moments
async def test_cancelled_at_each_await_with_a_free_permit(
    crew: Crew, one: Worker, moment: Moment, again: bool
):
    assert await sweep(crew, one, None, moment, again=again) == AWAITS


@again
@moments
async def test_cancelled_at_each_await_where_its_own_worker_hands_over(
    crew: Crew, one: Worker, moment: Moment, again: bool
):
    assert await sweep(crew, one, one, moment, again=again) == AWAITS


@again
@moments
async def test_cancelled_at_each_await_where_another_worker_pushes(
    crew: Crew, one: Worker, two: Worker, moment: Moment, again: bool
):
    assert await sweep(crew, one, two, moment, again=again) == AWAITS


async def test_leaving_never_suspends_so_it_cannot_be_cancelled_half_way(crew: Crew, one: Worker):
    acquisition = one.acquire()
    await acquisition.__aenter__()
    leaving = acquisition.__aexit__(None, None, None)
    with pytest.raises(StopIteration):
        leaving.send(None)
    await nothing_is_left(crew, one)


async def test_a_cancellation_asked_for_in_the_block_s_last_line_comes_after_the_permit_is_back(
    crew: Crew, one: Worker
):
    held: list[int] = []

    async def call() -> None:
        task = asyncio.current_task()
        assert task is not None
        async with one.acquire() as permit:
            permit.outcome = "ok"
            task.cancel()
        held.append(one.permits.held)
        await asyncio.sleep(0)
        raise AssertionError("it was cancelled")

    assert isinstance(await ended(asyncio.create_task(call())), asyncio.CancelledError)
    assert held == [0]
    await nothing_is_left(crew, one)


async def test_who_asks_and_goes_while_a_step_is_on_the_way_is_never_spoken_of(
    crew: Crew, one: Worker
):
    gate = Gate(one.office, "executed")
    first = asyncio.create_task(use(one.acquire()))
    await gate.reached.wait()
    granted, second = one.permits.counts.grants, asyncio.create_task(use(one.acquire()))
    await asyncio.sleep(0)
    second.cancel()
    assert isinstance(await ended(second), asyncio.CancelledError)
    gate.open.set()
    await first
    await nothing_is_left(crew)
    assert one.permits.counts.unused == 0
    assert one.permits.counts.grants == granted + 1


async def test_a_cut_request_s_permit_lingers_although_the_step_that_said_so_broke(redis_url: str):
    """What breaks must not turn "cut" into "ended": the provider may not have noticed yet."""
    timing = UNMENDED._replace(linger_s=30.0)
    async with Crew(redis_url, tier=1, timing=timing) as crew:
        one = await crew.worker("one")
        await crew.leap(31)  # the first epoch's window
        for stage in STAGES:
            task = asyncio.create_task(use_for_ever(one.acquire()))
            await eventually(lambda: one.permits.held == 1, every=0.002)
            gate = Gate(one.office, stage, fails=True, operation="r")
            registrations = one.permits.counts.registrations
            task.cancel()
            await gate.reached.wait()
            gate.open.set()
            await eventually(registered_again(one, registrations), every=0.002)
            assert (await crew.state()).lingering == 1
            await crew.leap(31)
            assert (await crew.state()).used == 0


def registered_again(worker: Worker, registrations: int) -> Callable[[], bool]:
    def check() -> bool:
        return worker.permits.registered and worker.permits.counts.registrations > registrations

    return check


@pytest.mark.parametrize("cancelled", [False, True], ids=["it waits on", "it is cancelled"])
async def test_a_push_that_crosses_a_registration_is_nobody_s(
    crew: Crew, one: Worker, two: Worker, cancelled: bool
):
    """Redis takes it back: who used it would use what is another's."""
    (taken,) = await two.take(1)
    task = asyncio.create_task(hold(one.acquire()))
    await queued_or_over(crew, task)
    gate = Gate(one.office, "not sent", operation="x")
    one.pump.book.unheard(Batch([]))
    await gate.reached.wait()
    await leave(taken)

    async def pushed() -> bool:
        return bool(await crew.redis.xlen(one.office.inbox("one")))

    await eventually(pushed, every=0.002)
    await eventually(lambda: not two.pump.book._releases, every=0.002)
    if cancelled:
        task.cancel()
        await asyncio.wait([task])
    assert one.permits.held == 0
    gate.open.set()
    if not cancelled:
        permit = await task
        assert await crew.redis.hexists(crew.office.keys.permits, permit.id)
        one.pump.book.give_back(permit, "ok")
    await nothing_is_left(crew, one, two)


async def test_cancelled_before_its_first_step_it_never_asked(crew: Crew, one: Worker):
    task = asyncio.create_task(use(one.acquire()))
    task.cancel()
    assert isinstance(await ended(task), asyncio.CancelledError)
    await nothing_is_left(crew, one)


# -- every stage of the step that asks --------------------------------------------------------


class Gate:
    """Between a pump and the function: holds the first step with ``operation`` (`a` asks).

    ``stage``: before the step is sent, or when it was executed and its reply is on its way. With
    ``fails`` the step then fails as it does when the connection breaks.
    """

    def __init__(
        self, office: PermitOffice, stage: Stage, *, fails: bool = False, operation: str = "a"
    ) -> None:
        self._step, office.step = office.step, self.step  # type: ignore[method-assign]
        self._stage = stage
        self._fails = fails
        self._operation = operation
        self._used = False
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def step(self, session: str, words: list[Argument]) -> Reply:
        if self._used or self._operation not in words:
            return await self._step(session, words)
        self._used = True
        reply = await self._step(session, words) if self._stage == "executed" else None
        self.reached.set()
        await self.open.wait()
        if self._fails:
            raise StoreUnavailable("the connection broke")
        return reply or await self._step(session, words)


stages = pytest.mark.parametrize("stage", STAGES)
failing = pytest.mark.parametrize("fails", [False, True], ids=["heard", "broken"])
orders = pytest.mark.parametrize("first", ["caller", "step", "both"])
fullness = pytest.mark.parametrize("full", [False, True], ids=["free", "full"])


async def cancel_at(gate: Gate, task: "asyncio.Task[Any]", first: str) -> None:
    """Cancel before the step goes on, in the same turn of the loop, or a turn after."""
    await gate.reached.wait()
    if first == "caller":
        task.cancel()
        await asyncio.wait([task])
        gate.open.set()
    else:
        gate.open.set()
        if first == "step":
            await asyncio.sleep(0)
        task.cancel()
    await ended(task)


@stages
@failing
@orders
@fullness
async def test_cancelled_while_its_step_is_on_the_way(
    crew: Crew, one: Worker, two: Worker, stage: Stage, fails: bool, first: str, full: bool
):
    taken = await two.take(1) if full else []
    gate = Gate(one.office, stage, fails=fails)
    task = asyncio.create_task(use(one.acquire()))
    await cancel_at(gate, task, first)
    for holding in taken:
        await eventually(lambda: not one.pump.book.waiters, every=0.002, what="out of the book")
        await nobody_waits(crew)
        await leave(holding)
    await nothing_is_left(crew, one, two)


@stages
@failing
@orders
@fullness
async def test_cancelled_while_its_worker_registers(
    crew: Crew, two: Worker, stage: Stage, fails: bool, first: str, full: bool
):
    taken = await two.take(1) if full else []
    office = await crew._new_office("late")
    gate = Gate(office, stage, fails=fails, operation="x")
    late = Worker(office, crew.url, "late", crew.tier)
    task = asyncio.create_task(use(late.acquire()))
    try:
        await cancel_at(gate, task, first)
        for holding in taken:
            await leave(holding)
        await nothing_is_left(crew, late, two)
    finally:
        await late.end()


async def test_cancelled_when_its_step_is_at_the_server_but_not_executed(crew: Crew, one: Worker):
    await crew.redis.execute_command("CLIENT", "PAUSE", 5000, "WRITE")
    task = asyncio.create_task(use(one.acquire()))

    async def blocked() -> bool:
        # The inbox's own connection is one of those that wait.
        return int((await crew.redis.info("clients"))["blocked_clients"]) >= 2

    await eventually(blocked)
    task.cancel()
    await asyncio.wait([task])
    await crew.redis.execute_command("CLIENT", "UNPAUSE")
    await nothing_is_left(crew, one)
    assert one.permits.counts.unused == 1, "it was granted to nobody, and given back"


@pytest.mark.parametrize("push_first", [True, False], ids=["after the push", "before the push"])
async def test_cancelled_when_the_push_overtakes_the_reply(
    crew: Crew, one: Worker, two: Worker, push_first: bool
):
    (taken,) = await two.take(1)
    gate = Gate(one.office, "executed")
    task = asyncio.create_task(use(one.acquire()))
    await gate.reached.wait()
    if push_first:
        granted = one.pump.book.take

        def take(number: int, grants: list[Any]) -> int:
            new = granted(number, grants)
            task.cancel()  # its Future has the permit, and it has not run since
            return new

        one.pump.book.take = take  # type: ignore[method-assign]
        await leave(taken)
    else:
        task.cancel()
        await asyncio.wait([task])
        await leave(taken)
        await eventually(lambda: one.permits.counts.unused == 1, every=0.002)
    assert isinstance(await ended(task), asyncio.CancelledError)
    gate.open.set()
    await nothing_is_left(crew, one, two)


async def test_cancelled_while_redis_fails_every_step(crew: Crew, one: Worker):
    step = one.office.step
    failed = asyncio.Event()

    async def away(session: str, words: list[Argument]) -> Reply:
        failed.set()
        raise StoreUnavailable("away")

    one.office.step = away  # type: ignore[method-assign]
    tasks = [asyncio.create_task(use(one.acquire())) for _ in range(5)]
    await failed.wait()
    for task in tasks:
        task.cancel()
        await asyncio.wait([task])
    one.office.step = step  # type: ignore[method-assign]
    await nothing_is_left(crew, one)


async def test_cancelled_while_its_worker_ends(crew: Crew, two: Worker):
    (taken,) = await two.take(1)
    leaver = await crew.worker("leaver")
    tasks = [asyncio.create_task(use(leaver.acquire())) for _ in range(5)]
    await queued_or_over(crew, tasks[-1])
    ending = asyncio.create_task(leaver.end())
    for task in tasks:
        await asyncio.sleep(0)
        task.cancel()
    errors = [await ended(task) for task in tasks]
    assert all(isinstance(e, asyncio.CancelledError | PermitsUnavailable) for e in errors)
    await ending
    await leave(taken)
    await nothing_is_left(crew, two)


# -- many, and by the clock -------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True], ids=["from outside", "by one that fails"])
async def test_a_task_group_of_waiters_is_cancelled_as_a_whole(
    crew: Crew, one: Worker, two: Worker, fails: bool
):
    inside = asyncio.Event()

    async def call(worker: Worker) -> None:
        async with worker.acquire():
            inside.set()
            await asyncio.Event().wait()

    async def fail() -> None:
        await inside.wait()
        raise ZeroDivisionError

    async def group() -> None:
        async with asyncio.TaskGroup() as callers:
            for number in range(40):
                callers.create_task(call((one, two)[number % 2]))
            if fails:
                callers.create_task(fail())

    task = asyncio.create_task(group())
    await inside.wait()
    if not fails:
        await queued_or_over(crew, task)
        task.cancel()
    error = await ended(task)
    assert isinstance(error, ExceptionGroup if fails else asyncio.CancelledError)
    await nothing_is_left(crew, one, two)


@fullness
@pytest.mark.parametrize("seconds", [-1.0, 0.0])
async def test_a_timeout_that_is_over_already(
    crew: Crew, one: Worker, two: Worker, seconds: float, full: bool
):
    taken = await two.take(1) if full else []
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await use(one.acquire())
    with contextlib.suppress(PermitTimeout):
        await use(one.acquire(within=seconds))
    for holding in taken:
        await leave(holding)
    await nothing_is_left(crew, one, two)


@fullness
async def test_a_timeout_at_any_moment_of_a_request(
    crew: Crew, one: Worker, two: Worker, full: bool
):
    """In steps of 0.1 ms, until ten in a row were long enough."""
    in_time, outcomes = 0, {"cut": 0, "through": 0}
    for tenths in range(1000):
        taken = await two.take(1) if full else []
        giving = [
            asyncio.get_running_loop().call_later(0.001, two.pump.book.give_back, permit, "ok")
            for _, permit in taken
        ]
        try:
            async with asyncio.timeout(tenths / 10_000):
                await use(one.acquire())
            in_time += 1
            outcomes["through"] += 1
        except TimeoutError:
            in_time = 0
            outcomes["cut"] += 1
        await eventually(lambda: not two.pump.book.held, every=0.001)
        assert len(giving) == len(taken)
        if in_time == 10:
            break
    assert outcomes["cut"] >= 10
    assert in_time == 10
    await nothing_is_left(crew, one, two)


async def test_two_hundred_cancelled_callers_leave_nothing_where_callers_of_the_script_leave_much(
    redis_url: str,
):
    """The second half shows that the first one could fail: who awaits the reply itself, leaks."""
    draw = random.Random(200)
    async with Crew(redis_url, tier=200, timing=UNMENDED) as crew:
        one = await crew.worker("one")
        for _ in range(200):
            await cancelled_soon(use(one.acquire()), draw)
        assert one.permits.counts.unused >= 10, "some were cancelled with their permit on its way"
        await nothing_is_left(crew, one)

        naive = await Naive.registered(crew)
        for _ in range(200):
            await cancelled_soon(naive.request(), draw)
        await asyncio.sleep(0)
        assert (await crew.state()).used >= 10
        await crew.office.fence("naive")


async def cancelled_soon(request: Coroutine[Any, Any, None], draw: random.Random) -> None:
    """Within the time of a round trip or two."""
    task = asyncio.create_task(request)
    for _ in range(draw.randrange(8)):
        await asyncio.sleep(0)
    await asyncio.sleep(draw.random() * 0.001)
    task.cancel()
    await asyncio.wait([task])


class Naive:
    """A session whose callers call the function themselves, as most libraries let them."""

    def __init__(self, office: PermitOffice, head: list[Argument]) -> None:
        self._office = office
        self._head = head
        self._number = 0

    @classmethod
    async def registered(cls, crew: Crew) -> "Naive":
        office = await crew._new_office("naive")
        timing = crew.timing.words()
        words = registration(Known(200, 200), [], [], fresh=True, now=0.0)
        reply = await office.step("naive", [1, "", 0, 0, *timing, *words])
        return cls(office, [1, reply.epoch, 0, reply.roster_number, *timing])

    async def request(self) -> None:
        self._number += 1
        waiter = Waiter(
            number=self._number, flow="flow", priority="live", asked=0.0,
            deadline=time.monotonic() + 5, since=None, place=None,
        )  # fmt: skip
        words = acquisition(waiter, time.monotonic())
        reply = await self._office.step("naive", [*self._head, *words])
        await self._office.step("naive", [*self._head, "r", reply.grants[0].permit, "ok"])
