"""What the provider says of itself and of the account, and what the permits make of it."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from service.core.permit_errors import QueueTooLong
from service.store.permit_steps import Timing
from tests.support.permit_rig import Crew, Waiting, Worker, drained, leave, state_is

TRIP_AFTER = 5
PAUSE_MAX_S = 30.0
EVERY_BLOCKING_CODE = [
    *("1000", "1001", "1002", "1003", "1004", "1100", "1110", "1111", "1112", "1113", "1120"),
    *("1121", "1220", "1304", "1308", "1309", "1310", "1311", "1313", "1314", "1321"),
]


@pytest.fixture
async def crew(redis_url: str) -> AsyncIterator[Crew]:
    async with Crew(redis_url, tier=8) as crew:
        yield crew


async def report(worker: Worker, *outcomes: str) -> None:
    """One request for each outcome, one after another."""
    for outcome in outcomes:
        (taken,) = await worker.take(1)
        await leave(taken, outcome)


async def trip(crew: Crew, worker: Worker, eventually, *, code: str = "1305") -> None:
    for taken in await worker.take(TRIP_AFTER):
        await leave(taken, code)
    await eventually(circuit_is(crew, "open"))


def circuit_is(crew: Crew, state: str):
    async def check() -> bool:
        return (await crew.state()).circuit.state == state

    return check


# -- the platform is full ---------------------------------------------------------------------


@pytest.mark.parametrize("code", ["1305", "1312"])
async def test_five_overloads_in_a_row_open_the_circuit_and_cut_nothing(
    crew: Crew, eventually, code: str
):
    one = await crew.worker("one")
    await trip(crew, one, eventually, code=code)
    waiting = await Waiting.queued(one)
    state = await crew.state()
    assert (state.limit, state.used, state.waiting) == (8, 0, 1)
    assert (state.circuit.code, state.circuit.trips) == (int(code), 1)
    assert 0 < state.circuit.left_ms <= 1000
    assert f"the platform is full ({code})" in state.why()[0]
    assert not waiting.granted
    await waiting.give_up()


async def test_fewer_overloads_or_a_word_between_them_open_nothing(crew: Crew):
    one = await crew.worker("one")
    await report(one, *["1305"] * 4, "ok", *["1305"] * 4, "1301", *["1312"] * 4)
    assert (await crew.state()).circuit.state == "closed"


async def test_requests_of_before_the_circuit_opened_neither_close_nor_prolong_it(
    crew: Crew, eventually
):
    one = await crew.worker("one")
    before = await one.take(3)
    await trip(crew, one, eventually)
    for taken, outcome in zip(before, ("ok", "1305", "1312"), strict=True):
        await leave(taken, outcome)
    await eventually(state_is(crew, used=0))
    circuit = (await crew.state()).circuit
    assert (circuit.state, circuit.trips) == ("open", 1)


async def test_one_request_at_a_time_tries_the_platform_and_its_success_lets_all_in(
    crew: Crew, eventually
):
    one = await crew.worker("one")
    await trip(crew, one, eventually)
    waiting = [await Waiting.queued(one, str(number)) for number in range(3)]
    await crew.leap(1.1)
    await eventually(lambda: waiting[0].granted)
    assert (await crew.state()).circuit.state == "probing"
    await crew.leap(1.0)
    assert [w.granted for w in waiting] == [True, False, False]
    await waiting[0].leave()
    await eventually(lambda: all(w.granted for w in waiting))
    assert (await crew.state()).circuit.state == "closed"
    for holder in waiting[1:]:
        await holder.leave()
    await drained(crew)


async def test_each_probe_that_finds_the_platform_full_prolongs_the_pause_up_to_a_bound(
    crew: Crew, eventually
):
    one = await crew.worker("one")
    await trip(crew, one, eventually)
    for trips in range(2, 9):
        waiting = asyncio.create_task(one.take(1, within=3600))
        await crew.leap((await crew.state()).circuit.left_ms / 1000 + 0.1)
        ((acquisition, permit),) = await waiting
        await leave((acquisition, permit), "1312")
        await eventually(circuit_is(crew, "open"))
        circuit = (await crew.state()).circuit
        assert circuit.trips == trips
        assert 500 <= circuit.left_ms + 50 <= min(PAUSE_MAX_S * 1000, 500 * 2**trips) + 50


@pytest.mark.parametrize("end", ["aborted", "unused", "fenced", "silent"])
async def test_a_probe_that_says_nothing_is_followed_by_another(crew: Crew, eventually, end: str):
    one, two = await crew.worker("one"), await crew.worker("two")
    await trip(crew, two, eventually)
    probe = asyncio.create_task(one.take(1))
    await eventually(lambda: one.permits.waiting == 1)
    await crew.leap(1.1)
    (taken,) = await probe
    waiting = await Waiting.queued(two)
    assert not waiting.granted
    if end == "fenced":
        await crew.office.fence("one")
    elif end == "silent":
        await one.silence()
        await crew.leap(6)
    else:
        await leave(taken, end)
    await eventually(lambda: waiting.granted)
    await waiting.leave()


async def test_background_tries_a_full_platform_only_where_no_customer_waits(
    crew: Crew, eventually
):
    one = await crew.worker("one")
    await trip(crew, one, eventually)
    summary = await Waiting.queued(one, priority="background")
    customer = await Waiting.queued(one)
    await crew.leap(1.1)
    await eventually(lambda: customer.granted)
    assert not summary.granted
    await customer.leave()
    await eventually(lambda: summary.granted)
    await summary.leave()
    await trip(crew, one, eventually)
    alone = await Waiting.queued(one, priority="background")
    await crew.leap(1.1)
    await eventually(lambda: alone.granted)
    await alone.leave()


async def test_an_open_circuit_is_part_of_the_wait_that_is_told_and_refused(crew: Crew, eventually):
    one = await crew.worker("one")
    await report(one, *["ok"] * 8)
    await trip(crew, one, eventually)
    told: list[int] = []
    waiting = asyncio.create_task(
        one.acquire(place=lambda place, eta: told.append(eta)).__aenter__()
    )
    await eventually(lambda: told)
    assert 100 < told[0] <= 1100
    with pytest.raises(QueueTooLong):
        async with one.acquire(within=0.05):
            raise AssertionError("it could not be served in time")
    waiting.cancel()


async def test_a_new_epoch_closes_the_circuit(crew: Crew, eventually):
    one = await crew.worker("one")
    await trip(crew, one, eventually)
    await crew.redis.hset(crew.office.keys.meta, "run", "another server")
    await crew.office.step("", [0, "", 0, 0, *crew.timing.words()])
    assert (await crew.state()).circuit.state == "closed"
    async with one.acquire():
        pass


# -- the account may not ----------------------------------------------------------------------


@pytest.mark.parametrize("code", EVERY_BLOCKING_CODE)
async def test_a_blocked_account_raises_the_alarm_and_the_next_success_ends_it(
    crew: Crew, eventually, code: str
):
    one = await crew.worker("one")
    before, *after = await one.take(4)
    await leave(after[0], code)
    await leave(after[1], code)
    await eventually(state_is(crew, used=2))
    state = await crew.state()
    assert (state.blocked.code, state.blocked.times) == (int(code), 2)
    assert (state.limit, state.circuit.state) == (8, "closed")
    await leave(before)  # it was let in before the account was blocked
    await eventually(state_is(crew, used=1))
    assert (await crew.state()).blocked.code == int(code)
    await eventually(lambda: one.pump.book.latest and one.pump.book.latest.blocked == int(code))
    await leave(after[2])
    await report(one, "ok")
    await drained(crew)
    assert (await crew.state()).blocked.code == 0


@pytest.mark.parametrize("code", ["ok", "aborted", "1210", "1261", "1301", "1302", "1305", "1312"])
async def test_nothing_else_raises_the_alarm(crew: Crew, code: str):
    one = await crew.worker("one")
    await report(one, code)
    await drained(crew)
    assert (await crew.state()).blocked.code == 0


# -- the provider counts longer than we do ----------------------------------------------------


async def test_a_configured_release_linger_counts_after_every_end_but_of_the_unused(
    redis_url: str, eventually
):
    timing = Timing(linger_s=0.0, release_s=0.3)
    async with Crew(redis_url, tier=1, timing=timing) as crew:
        one = await crew.worker("one")
        (taken,) = await one.take(1)
        waiting = await Waiting.queued(one)
        begun = time.monotonic()
        await leave(taken)
        await eventually(state_is(crew, used=1, lingering=1))
        await waiting.task
        assert time.monotonic() - begun >= 0.29
        await leave((waiting.acquisition, await waiting.task), "unused")
        begun = time.monotonic()
        async with one.acquire() as permit:
            permit.outcome = "unused"
        assert time.monotonic() - begun < 0.25


async def test_each_refusal_of_a_new_generation_lengthens_the_linger_up_to_a_bound(
    crew: Crew, eventually
):
    one = await crew.worker("one")
    lags = []
    for _ in range(7):
        await report(one, "1302")
        await eventually(state_is(crew, used=0))
        lags.append((await crew.state()).refused.lag_ms)
    assert lags == [20, 40, 60, 80, 100, 100, 100]
    assert (await crew.state()).refused.times == 7


async def test_requests_of_one_generation_lengthen_the_linger_once(crew: Crew, eventually):
    one = await crew.worker("one")
    for taken in await one.take(4):
        await leave(taken, "1302")
    await eventually(state_is(crew, used=0))
    assert (await crew.state()).refused.lag_ms == 20


async def test_a_learned_linger_is_forgotten_in_steps_of_ten_minutes(crew: Crew, eventually):
    one = await crew.worker("one")
    for _ in range(2):
        await report(one, "1302")
    await eventually(lag_is(crew, 40))
    await crew.redis.hincrby(crew.office.keys.meta, "refused_at", -600_001)
    await eventually(lag_is(crew, 20))
    await crew.redis.hincrby(crew.office.keys.meta, "refused_at", -600_001)
    await eventually(lag_is(crew, 0))


def lag_is(crew: Crew, ms: int):
    async def check() -> bool:
        return (await crew.state()).refused.lag_ms == ms

    return check
