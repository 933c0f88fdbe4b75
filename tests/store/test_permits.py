"""The permits of several workers on a real server: counting, handover, silence, limits."""

import asyncio
import random
import time
from collections.abc import AsyncIterator

import pytest
from redis.crc import key_slot

from service.core.errors import LimitAboveTier, SettingError, StoreUnavailable, TierUnknown
from service.core.permit_errors import (
    PermitLost,
    PermitNotHeld,
    PermitSpent,
    PermitsUnavailable,
    QueueTooLong,
)
from service.store import keys
from service.store.permit_office import account_name, key_part
from service.store.permit_steps import Timing
from service.store.permits import RedisPermits
from tests.support.permit_rig import AHEAD, Crew, Waiting, Worker, drained, leave, state_is


@pytest.fixture
async def crew(redis_url: str) -> AsyncIterator[Crew]:
    async with Crew(redis_url, tier=4) as crew:
        yield crew


# -- counting and handover --------------------------------------------------------------------


async def test_a_release_hands_the_permit_to_another_worker_s_waiter_at_once(crew: Crew):
    one, two = await crew.worker("one"), await crew.worker("two")
    taken = await one.take(4)
    waiting = await Waiting.queued(two)
    begun = time.monotonic()
    await leave(taken.pop())
    await waiting.task
    assert time.monotonic() - begun < 0.2, "pushed, not polled"
    assert (await crew.state()).used == 4
    await waiting.leave()


async def test_two_workers_serve_one_queue_in_the_order_of_asking(crew: Crew, eventually):
    one, two = await crew.worker("one"), await crew.worker("two")
    taken = await one.take(4)
    queue = [await Waiting.queued(worker) for worker in (two, one, two, one)]
    for expected, holder in enumerate([*taken[:4]], 1):
        await leave(holder)
        await eventually(lambda n=expected: sum(w.granted for w in queue) == n)
        assert [w.granted for w in queue] == [True] * expected + [False] * (4 - expected)
    for waiting in queue:
        await waiting.leave()


async def test_releasing_what_is_not_one_s_own_changes_nothing(crew: Crew):
    one, two = await crew.worker("one"), await crew.worker("two")
    (taken,) = await one.take(1)
    head = [two.pump.book._registration, two.pump.book.known.epoch, 0, 0, *crew.timing.words()]
    for unknown in (taken[1].id, "1-a:99", "nonsense"):
        await two.office.step("two", [*head, "r", unknown, "ok"])
    assert (await crew.state()).used == 1
    await leave(taken)
    async with one.acquire():
        assert (await crew.state()).used == 1
    await drained(crew)


async def test_all_keys_share_one_slot_and_nobody_s_are_left(crew: Crew, eventually):
    one, two = await crew.worker("one"), await crew.worker("two")
    taken = await one.take(4)
    waiting = await Waiting.queued(two)
    background = await Waiting.queued(two, priority="background")
    await leave(taken.pop())
    await waiting.task
    names = [key.decode() for key in await crew.redis.keys("parley:{*")]
    assert any(":inbox:" in name for name in names)
    assert any(":waiters:" in name for name in names)
    declared = keys.permits("account", "model")
    slots = {key_slot(name.encode()) for name in (*names, *declared)}
    assert len(slots) == 1
    await background.give_up()
    await one.end()
    await two.end()
    left = {key.decode().rpartition(":")[2] for key in await crew.redis.keys("parley:{*")}
    assert not left & {"one", "two", "sessions"}
    await eventually(lambda: crew.state())


async def test_a_step_whose_reply_is_lost_costs_nothing(crew: Crew):
    """Steps fail at random, before or after they were done; the count stays right."""
    draw = random.Random(7)
    workers = [await crew.worker(name) for name in ("one", "two")]
    for worker in workers:
        _make_unreliable(worker, draw)
    inside, most, done = 0, 0, 0

    async def call(number: int) -> None:
        nonlocal inside, most, done
        async with workers[number % 2].acquire(str(number % 5), within=20):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(draw.random() * 0.02)
            inside -= 1
            done += 1

    await asyncio.gather(*(call(number) for number in range(50)))
    assert done == 50
    assert most <= 4
    await drained(crew)


def _make_unreliable(worker: Worker, draw: random.Random) -> None:
    step = worker.office.step

    async def unreliable(session, words):
        chance = draw.random()
        if chance < 0.15:
            raise StoreUnavailable("the step never arrived")
        reply = await step(session, words)
        if chance < 0.3:
            raise StoreUnavailable("the reply was lost")
        return reply

    worker.office.step = unreliable


async def test_a_lost_push_is_said_again(crew: Crew):
    one, two = await crew.worker("one"), await crew.worker("two")
    await two.stop_listening()
    taken = await one.take(4)
    waiting = await Waiting.queued(two)
    await leave(taken[0])
    await waiting.task
    assert two.permits.counts.lost_pushes == 1
    await waiting.leave()


async def test_a_difference_between_record_and_worker_is_found_and_mended(crew: Crew, eventually):
    one = await crew.worker("one")
    taken = await one.take(3)
    await eventually(lambda: not one.pump.book.owes_receipt)
    await crew.redis.hdel(crew.office.keys.permits, taken[0][1].id)
    registered = one.permits.counts.registrations
    await crew.redis.hset(
        crew.office.keys.sessions, "one", _one_fewer(await _record(crew, "one"), taken[0][1].id)
    )
    await eventually(lambda: one.permits.counts.registrations > registered, what="a registration")
    await eventually(_uses(crew, 3))
    for one_taken in taken:
        await leave(one_taken)
    await drained(crew)


async def _record(crew: Crew, session: str) -> list[str]:
    text = await crew.redis.hget(crew.office.keys.sessions, session)
    return text.decode().split()


def _one_fewer(record: list[str], permit: str) -> str:
    """A session's record as if ``permit`` had never been its own."""
    held, total = int(record[5]) - 1, int(record[6]) - int(permit.rpartition(":")[2])
    return " ".join([*record[:5], str(held), str(total)])


def _uses(crew: Crew, count: int):
    async def check() -> bool:
        return (await crew.state()).used == count

    return check


# -- workers that fall silent -----------------------------------------------------------------


async def test_a_silent_worker_s_permits_are_not_given_away_and_it_may_return(
    crew: Crew, eventually
):
    one, two = await crew.worker("one"), await crew.worker("two")
    taken = await one.take(4)
    waiting = await Waiting.queued(two)
    await one.silence()
    await crew.leap(6)
    state = await crew.state()
    assert (state.quarantined, state.used, state.sessions["one"].state) == (4, 4, "quarantined")
    assert not waiting.granted
    one.resume()
    await eventually(state_is(crew, quarantined=0, used=4))
    await leave(taken[0])
    await waiting.task
    await waiting.leave()


async def test_a_fence_notice_frees_a_dead_worker_s_permits_after_the_linger(redis_url: str):
    async with Crew(redis_url, timing=Timing(linger_s=0.6)) as crew:
        one, two = await crew.worker("one"), await crew.worker("two")
        await one.take(4)
        waiting = await Waiting.queued(two)
        await one.silence()
        await crew.office.fence("one")
        assert (await crew.state()).lingering == 4
        await crew.leap(0.2)
        assert not waiting.granted
        await waiting.task
        assert "one" not in (await crew.state()).sessions
        await waiting.leave()
        await drained(crew)


async def test_a_fence_notice_in_time_for_an_expired_session_frees_its_quarantine(
    crew: Crew, eventually
):
    one, two = await crew.worker("one"), await crew.worker("two")
    await one.take(4)
    await one.silence()
    waiting = await Waiting.queued(two)
    await crew.leap(6)
    await eventually(state_is(crew, quarantined=4))
    await crew.office.fence("one")
    await waiting.task
    await waiting.leave()


async def test_quarantine_ends_when_no_request_can_still_run(crew: Crew, eventually):
    one = await crew.worker("one")
    await one.take(4)
    await one.silence()
    await crew.leap(110)
    assert (await crew.state()).quarantined == 4
    await crew.leap(12)
    assert (await crew.state()).used == 0


async def test_a_worker_that_does_not_confirm_gets_no_more_and_keeps_its_places(
    crew: Crew, eventually
):
    one, two = await crew.worker("one"), await crew.worker("two")
    taken = await two.take(4)
    silent = [await Waiting.queued(one) for _ in range(3)]
    awake = [await Waiting.queued(two) for _ in range(2)]
    await one.silence()
    await leave(taken[0])  # granted to a worker that does not hear it
    await eventually(state_is(crew, waiting=4))
    await crew.leap(0.3)
    await leave(taken[1])
    await eventually(lambda: awake[0].granted)
    one.resume()
    await eventually(lambda: silent[0].granted)
    await eventually(_confirmed(crew, "one"))
    await leave(taken[2])
    await eventually(lambda: silent[1].granted)
    assert not awake[1].granted, "the silent worker's waiter was before it all along"
    for waiting in (*silent, *awake):
        await waiting.give_up()


def _confirmed(crew: Crew, session: str):
    async def check() -> bool:
        return (await crew.state()).sessions[session].unseen == 0

    return check


async def test_waiters_of_a_dead_worker_give_all_their_flow_s_rounds_back(crew: Crew, eventually):
    one, two = await crew.worker("one"), await crew.worker("two")
    taken = await two.take(4)
    gone = [await Waiting.queued(one, "shared") for _ in range(12)]
    await one.silence()
    await crew.office.fence("one")
    await eventually(state_is(crew, waiting=0))
    others = [await Waiting.queued(two, f"other-{number}") for number in range(3)]
    again = await Waiting.queued(two, "shared")
    behind = await Waiting.queued(two, "shared")
    for holder in taken:
        await leave(holder)
    await eventually(lambda: all(waiting.granted for waiting in (*others, again)))
    assert not behind.granted
    for waiting in (*others, again):
        await waiting.leave()
    await behind.leave()
    for waiting in gone:
        await waiting.give_up()


async def test_a_worker_that_was_fenced_alive_learns_it_and_stops(crew: Crew):
    one = await crew.worker("one")
    taken = await one.take(4)
    waiting = await Waiting.queued(one)
    await crew.office.fence("one")
    with pytest.raises(PermitsUnavailable):
        await one.permits.run()
    with pytest.raises(PermitsUnavailable):
        await waiting.task
    assert not one.permits.registered
    assert all(permit.deadline == 0 for _, permit in taken)
    with pytest.raises(PermitsUnavailable):
        async with one.acquire():
            raise AssertionError("a fenced worker was given a permit")


async def test_a_worker_that_leaves_gives_everything_back(crew: Crew):
    one, two = await crew.worker("one"), await crew.worker("two")
    await one.take(4)
    mine, theirs = await Waiting.queued(one), await Waiting.queued(two)
    await one.end()
    with pytest.raises(PermitsUnavailable):
        await mine.task
    await theirs.task
    assert set((await crew.state()).sessions) == {"two"}
    await theirs.leave()


async def test_a_grant_that_comes_after_its_own_deadline_is_given_back_unused(
    crew: Crew, eventually
):
    one, two = await crew.worker("one"), await crew.worker("two")
    taken = await one.take(4)
    waiting = await Waiting.queued(two)
    two.pump.book._contact -= 1000  # as if this process had stood still until now
    two.office.timing = two.office.timing._replace(heartbeat_s=1000)
    await leave(taken[0])
    await eventually(lambda: two.permits.counts.unused == 1)
    await waiting.task  # again, after a registration has told how things stand
    await waiting.leave()


async def test_a_permit_that_its_caller_comes_too_late_for_is_lost_and_given_back(crew: Crew):
    one = await crew.worker("one")

    def stand_still(held: int) -> None:
        """For as long as a request may live, between the grant and the caller's next step."""
        for permit in one.pump.book.held.values():
            permit.deadline = 0.0

    one.permits.observe(held=stand_still)
    with pytest.raises(PermitLost):
        async with one.acquire():
            raise AssertionError("the permit was too old to use")
    await drained(crew)


async def test_a_leap_of_the_server_s_clock_ends_no_session(crew: Crew):
    one = await crew.worker("one")
    taken = await one.take(2)
    for leap_ms in (3_600_000, -7_200_000):
        await crew.redis.incrby(AHEAD, leap_ms)
        await crew.redis.expire(AHEAD, 60)
        await crew.office.step("", [0, "", 0, 0, *crew.timing.words()])
        state = await crew.state()
        assert (state.held, state.quarantined) == (2, 0)
    for one_taken in taken:
        await leave(one_taken)
    await drained(crew)


# -- Redis away -------------------------------------------------------------------------------


async def test_callers_are_told_when_redis_is_away_for_too_long(crew: Crew, monkeypatch):
    one = await crew.worker("one")
    await one.take(4)
    waiting = await Waiting.queued(one)
    monkeypatch.setattr("service.store.permit_pump.AWAY_S", 0.2)

    async def away(session, words):
        raise StoreUnavailable("away")

    one.office.step = away
    with pytest.raises(PermitsUnavailable) as refusal:
        await waiting.task
    assert refusal.value.position == 1
    assert not one.permits.registered
    with pytest.raises(PermitsUnavailable):
        async with one.acquire():
            raise AssertionError("there was no Redis to ask")


async def test_a_place_callback_that_fails_harms_nobody(crew: Crew, eventually):
    one = await crew.worker("one")
    taken = await one.take(4)

    def fail(position: int, eta: int) -> None:
        raise ZeroDivisionError

    waiting = asyncio.create_task(one.acquire(place=fail).__aenter__())
    await eventually(lambda: one.permits.waiting == 1 and waiting and not waiting.done())
    await leave(taken[0])
    await waiting


# -- the limit --------------------------------------------------------------------------------


async def test_a_refusal_cuts_the_limit_once_per_generation_and_success_restores_it(
    redis_url: str, eventually
):
    async with Crew(redis_url, tier=20) as crew:
        one = await crew.worker("one")
        taken = await one.take(20)
        for refused in taken[:5]:  # all of one generation
            await leave(refused, "1302")
        await eventually(state_is(crew, limit=19, used=15))
        for holder in taken[5:]:
            await leave(holder, "aborted")  # says nothing about the limit
        await eventually(state_is(crew, limit=19, used=0))
        taken = await one.take(19)
        for _ in range(19):  # full, so that each success says something about the limit
            await leave(taken.pop(0))
            taken += await one.take(1)
        await eventually(state_is(crew, limit=20))


@pytest.mark.parametrize("code", ["1113", "1304", "1305", "1308", "1312", "aborted", "unused"])
async def test_no_other_outcome_cuts_the_limit(crew: Crew, code: str, eventually):
    one = await crew.worker("one")
    for holder in await one.take(4):
        await leave(holder, code)
    await eventually(state_is(crew, used=0, limit=4))


async def test_the_limit_never_falls_to_nothing(crew: Crew, eventually):
    one = await crew.worker("one")
    for _ in range(5):
        async with one.acquire() as permit:
            permit.outcome = "1303"
        await eventually(state_is(crew, used=0))
    assert (await crew.state()).limit == 2


async def test_lowering_the_limit_makes_debt_and_raising_it_serves_waiters(crew: Crew, eventually):
    one = await crew.worker("one")
    taken = await one.take(4)
    await one.permits.set_limit(2)
    waiting = [await Waiting.queued(one) for _ in range(3)]
    for holder in taken[:2]:
        await leave(holder)
    await eventually(state_is(crew, used=2, tier=4, cap=2, limit=2, waiting=3))
    await leave(taken[2])
    await eventually(lambda: [w.granted for w in waiting] == [True, False, False])
    await crew.office.set_limit(4)
    await eventually(lambda: all(w.granted for w in waiting))
    assert (await crew.state()).why() == []
    for holder in (*waiting,):
        await holder.leave()
    await leave(taken[3])
    await drained(crew)


async def test_a_restarted_worker_does_not_undo_a_limit_but_a_deploy_with_another_tier_does(
    crew: Crew,
):
    await crew.worker("one")
    await crew.office.set_limit(3)
    await crew.worker("restarted")
    state = await crew.state()
    assert (state.tier, state.cap, state.why()) == (4, 3, ["an operator's limit of 3"])
    await crew.worker("deployed", tier=9)
    state = await crew.state()
    assert (state.tier, state.cap, state.limit) == (9, 9, 9)


async def test_a_limit_above_the_tier_is_refused_and_changes_nothing(crew: Crew):
    one = await crew.worker("one")
    taken = await one.take(4)
    with pytest.raises(LimitAboveTier, match=r"a limit of 5 is above the account's tier, 4"):
        await crew.office.set_limit(5)
    state = await crew.state()
    assert (state.used, state.tier, state.cap, state.limit) == (4, 4, 4, 4)
    for holder in taken:
        await leave(holder)


async def test_a_limit_before_any_worker_came_is_refused(crew: Crew):
    with pytest.raises(TierUnknown):
        await crew.office.set_limit(3)
    assert (await crew.state()).tier == 0


@pytest.mark.parametrize("limit", [0, -1, 100_001, "50", 2.5, True, None])
async def test_what_cannot_be_a_limit_is_refused_with_a_line_that_helps(crew: Crew, limit):
    await crew.worker("one")
    with pytest.raises(SettingError, match="a limit is a whole number from 1"):
        await crew.office.set_limit(limit)
    assert (await crew.state()).cap == 4


@pytest.mark.parametrize("tier", [0, -1, 100_001, "50", 2.5, True, None])
async def test_what_cannot_be_a_tier_is_refused_before_anything_is_asked(crew: Crew, tier):
    with pytest.raises(SettingError, match="a tier is a whole number from 1 to 100000"):
        async with RedisPermits.join(crew.office, crew.url, session="one", tier=tier):
            raise AssertionError("such a tier was taken")
    assert (await crew.state()).tier == 0


# -- misuse -----------------------------------------------------------------------------------


async def test_an_acquisition_left_twice_is_a_named_error_and_the_count_stays_right(crew: Crew):
    one = await crew.worker("one")
    first, second = await one.take(2)
    await leave(first)
    with pytest.raises(PermitNotHeld, match=first[1].id):
        await leave(first)
    await crew.office.step("", [0, "", 0, 0, *crew.timing.words()])
    assert (await crew.state()).used == 1
    await leave(second)
    await drained(crew)


async def test_an_acquisition_serves_one_request_and_no_second(crew: Crew):
    one = await crew.worker("one")
    acquisition = one.acquire()
    async with acquisition:
        with pytest.raises(PermitSpent):
            await acquisition.__aenter__()
        assert (await crew.state()).used == 1
    await drained(crew)


async def test_an_unknown_permit_s_release_is_told_and_changes_nothing(crew: Crew):
    one, two = await crew.worker("one"), await crew.worker("two")
    (taken,) = await one.take(1)
    head = [two.pump.book._registration, two.pump.book.known.epoch, 0, 0, *crew.timing.words()]
    words = ["r", taken[1].id, "ok", "r", "nonsense", "ok"]
    reply = await two.office.step("two", [*head, *words])
    assert reply.unknown == [taken[1].id, "nonsense"]
    assert (await crew.state()).used == 1
    await leave(taken)
    await drained(crew)


@pytest.mark.parametrize("session", ["", "a b", "a:b", "{a}", "-", "x" * 65])
async def test_what_cannot_be_a_session_is_refused(crew: Crew, session: str):
    with pytest.raises(SettingError, match="a session is"):
        await crew.office.fence(session)


async def test_background_work_waits_until_a_customer_could_be_served_at_once(crew: Crew):
    one = await crew.worker("one")
    background = [await one.acquire(priority="background").__aenter__() for _ in range(2)]
    third = await Waiting.queued(one, priority="background")
    customer = await Waiting.queued(one) if (await crew.state()).used >= 4 else None
    assert customer is None and not third.granted
    (taken,) = await one.take(1)
    assert taken[1].waited_ms < 200
    assert (await crew.state()).background == len(background)
    await third.give_up()


# -- names ------------------------------------------------------------------------------------


def test_an_account_is_named_by_its_url_and_key_and_shows_neither():
    name = account_name("https://model.example/v4/", "secret")
    assert name == account_name("https://model.example/v4", "secret")
    assert name != account_name("https://model.example/v4", "other")
    assert len(name) == 12 and "secret" not in name


def test_a_model_s_name_cannot_break_the_hash_tag():
    assert key_part("glm-4-flashx-250414") == "glm-4-flashx-250414"
    assert "{" not in key_part("a{b}c d")


async def test_a_refusal_gives_the_flow_its_round_back(crew: Crew, eventually):
    one = await crew.worker("one")
    for _ in range(3):
        for holder in await one.take(4):
            await asyncio.sleep(0.08)
            await leave(holder)
    taken = await one.take(4, "greedy")
    early = [await Waiting.queued(one, f"other{n}") for n in range(4)]
    for _ in range(3):
        with pytest.raises(QueueTooLong):
            async with one.acquire("modest", within=0.04):
                raise AssertionError("there was no permit")
    modest = await Waiting.queued(one, "modest")
    late = await Waiting.queued(one, "other0")
    for holder in taken:
        await leave(holder)
    for waiting in early:
        await waiting.leave()
    await eventually(lambda: modest.granted and late.granted)
    assert modest.task.result().granted <= late.task.result().granted
    await modest.leave()
    await late.leave()
