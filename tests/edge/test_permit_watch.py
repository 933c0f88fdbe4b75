"""What the metrics and the log say of the permits, on real ones."""

import pytest
from structlog.testing import capture_logs

from service.clients.provider_errors import CODES
from service.core.account_alarms import advice
from service.core.errors import ModelAccountBlocked
from service.edge import metrics
from service.edge.permit_watch import COUNTERS, PermitWatch
from tests.support.permit_rig import Crew, Waiting, leave


@pytest.fixture
async def crew(redis_url):
    async with Crew(redis_url, tier=8) as crew:
        yield crew


def sample(name, **labels):
    return metrics.registry.get_sample_value(name, labels)


def shared():
    """used, admissible, limit, tier, circuit, blocked."""
    names = "used", "admissible", "limit", "tier", "circuit", "blocked"
    return tuple(sample(f"parley_permits_{name}") for name in names)


async def looked(watch, eventually, check):
    """Look, as the worker does each second, until ``check`` holds."""

    def look():
        watch.look()
        return check()

    await eventually(look)


async def test_the_gauges_show_what_all_workers_share_and_what_is_ones_own(crew, eventually):
    one, two = await crew.worker("one"), await crew.worker("two")
    watch = PermitWatch(one.permits, speaks=True)
    taken = [*await one.take(3), *await two.take(5)]
    waiting = [
        await Waiting.queued(one),
        await Waiting.queued(one),
        await Waiting.queued(one, priority="background"),
    ]
    await looked(watch, eventually, lambda: shared() == (8, 8, 8, 8, 0, 0))
    assert sample("parley_permits_held") == 3
    assert sample("parley_permits_waiting", **{"class": "live"}) == 2
    assert sample("parley_permits_waiting", **{"class": "background"}) == 1
    await crew.office.set_limit(6)
    await looked(watch, eventually, lambda: shared() == (8, 6, 6, 8, 0, 0))
    for one_taken in taken:
        await leave(one_taken)
    for waiter in waiting:
        await waiter.leave()
    await looked(watch, eventually, lambda: sample("parley_permits_used") == 0)
    assert sample("parley_permits_waiting", **{"class": "live"}) == 0


async def test_the_counters_grow_by_what_happened_and_not_by_looking(crew, eventually):
    before = {name: counter._value.get() for name, counter in COUNTERS.items()}
    one = await crew.worker("one")
    watch = PermitWatch(one.permits, speaks=False)
    for taken in await one.take(4):
        await leave(taken)

    def grown():
        return {name: counter._value.get() - before[name] for name, counter in COUNTERS.items()}

    await looked(watch, eventually, lambda: grown()["grants"] == 4)
    watch.look()
    watch.look()
    told = grown()
    assert (told["grants"], told["registrations"], told["epochs"]) == (4, 1, 1)
    assert (told["refusals"], told["lost_pushes"], told["unused"], told["unknown"]) == (0, 0, 0, 0)
    assert told["steps"] == one.permits.counts.steps


async def test_nobody_shows_anew_what_it_has_not_heard_anew(crew, eventually):
    one = await crew.worker("one")
    watch = PermitWatch(one.permits, speaks=True)
    await looked(watch, eventually, lambda: sample("parley_permits_tier") == 8)
    await one.silence()
    watch.look()
    metrics.permits_used.set(5)  # as another worker of this host, who hears more
    watch.look()
    assert sample("parley_permits_used") == 5


async def test_a_blocked_account_is_told_once_with_what_to_do_and_so_is_its_end(crew, eventually):
    one = await crew.worker("one")
    watch = PermitWatch(one.permits, speaks=True)
    with capture_logs() as lines:
        for taken in await one.take(3):
            await leave(taken, "1113")
        await looked(watch, eventually, lambda: sample("parley_permits_blocked") == 1)
        watch.look()
        (line,) = lines
        assert (line["log_level"], line["event"], line["code"]) == (
            "critical", "account_blocked", 1113
        )  # fmt: skip
        assert line["do"] == advice("1113")
        for taken in await one.take(1):
            await leave(taken, "ok")
        await looked(watch, eventually, lambda: sample("parley_permits_blocked") == 0)
    assert [line["event"] for line in lines] == ["account_blocked", "account_unblocked"]


async def test_an_open_circuit_is_told_once_and_so_is_its_end(crew, eventually):
    one = await crew.worker("one")
    watch = PermitWatch(one.permits, speaks=True)
    with capture_logs() as lines:
        for taken in await one.take(5):
            await leave(taken, "1305")
        await looked(watch, eventually, lambda: sample("parley_permits_circuit") == 1)
        watch.look()
        await crew.leap(2)
        (probe,) = await one.take(1)
        await leave(probe, "ok")
        await looked(watch, eventually, lambda: sample("parley_permits_circuit") == 0)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("circuit_open", "warning"), ("circuit_closed", "warning")
    ]  # fmt: skip
    assert lines[0]["next_ms"] > 0


async def test_only_the_first_slot_speaks_for_all(crew, eventually):
    one = await crew.worker("one")
    watch = PermitWatch(one.permits, speaks=False)
    with capture_logs() as lines:
        for taken in await one.take(1):
            await leave(taken, "1113")
        await looked(watch, eventually, lambda: sample("parley_permits_blocked") == 1)
    assert lines == []


def test_every_code_that_blocks_an_account_has_its_own_advice():
    blocking = [code for code, kind in CODES.items() if kind is ModelAccountBlocked]
    general = advice("9999")
    assert len(blocking) > 15
    assert all(advice(code) != general for code in blocking)
    assert "PARLEY_MODEL_KEY" in advice("1002")
    assert "today" in advice("1304") and "quota" in advice("1308")
    assert "locked" in advice("1112") and "top it up" in advice("1113")
    assert "PARLEY_MODEL_KEY" in general
