"""A place in the tier that is kept for a while after the last byte.

What must be seen within the lag is tried until the machine was quick enough to see it.
"""

import time

import pytest

from tests.simulator.api import Api, code_of, connect, question, read_out
from tests.support.eventually import eventually

LONGEST_MS = 500
EARLY_S = 0.005  # the event loop's clock counts milliseconds


async def test_a_request_counts_until_the_lag_is_over(api: Api, simulator) -> None:
    simulator.control(release_lag_ms=LONGEST_MS)

    def lingers() -> float:
        simulator.control(release_lag_ms=LONGEST_MS, reset=True)
        begun = time.monotonic()
        assert api.stream("hello").done
        stats = simulator.stats()
        assert stats["outcomes"] == {"stop": 1}
        assert stats["concurrency"] == stats["work"]["lingering"] == 1
        assert stats["per_model"][0]["concurrency"] == 1
        return begun

    begun = await eventually(lingers)
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    assert time.monotonic() - begun >= LONGEST_MS / 1000 - EARLY_S
    assert simulator.stats()["work"] == dict.fromkeys(simulator.stats()["work"], 0)
    assert sum(second["ends"] for second in simulator.stats()["seconds"]) == 1


@pytest.mark.parametrize("simulate", ["", "eof", "cut", "sensitive", "error_inband", "stall for=0"])
@pytest.mark.parametrize("stall", [False, True], ids=["", "write_stall"])
async def test_every_end_of_its_own_has_the_lag(api, simulator, simulate: str, stall: bool) -> None:
    def lingers() -> bool:
        simulator.control(reset=True, release_lag_ms=LONGEST_MS, write_stall=stall)
        api.stream("hello", simulate=simulate)
        return bool(simulator.stats()["work"]["lingering"] == 1)

    await eventually(lingers)


@pytest.mark.parametrize("stall", [False, True], ids=["", "write_stall"])
async def test_a_whole_answer_has_the_lag(api: Api, simulator, stall: bool) -> None:
    def lingers() -> bool:
        simulator.control(reset=True, release_lag_ms=LONGEST_MS, write_stall=stall)
        assert api.ask("hello")
        return bool(simulator.stats()["work"]["lingering"] == 1)

    await eventually(lingers)


async def test_a_start_within_the_lag_at_a_full_tier_is_refused(api: Api, simulator) -> None:
    def refused() -> bool:
        simulator.control(reset=True, release_lag_ms=LONGEST_MS, tier=1)
        api.ask("hello")
        return api.post(question("hello")).status_code == 429

    await eventually(refused)
    stats = simulator.stats()
    assert stats["outcomes"] == {"error_1302": 1, "stop": 1}
    assert (stats["starts"], stats["over_tier_starts"], stats["max_concurrency"]) == (1, 1, 1)
    response = api.post(question("hello"))
    if response.status_code == 429:
        assert code_of(response) == "1302"
    await eventually(lambda: api.post(question("hello")).status_code == 200)


async def test_a_start_within_the_lag_counts_as_over_the_tier_where_none_is_refused(
    api: Api, simulator
) -> None:
    def over() -> bool:
        simulator.control(reset=True, release_lag_ms=LONGEST_MS, tier=1, enforce_tier=False)
        api.ask("hello")
        api.ask("hello")
        stats = simulator.stats()
        return (stats["over_tier_starts"], stats["max_concurrency"]) == (1, 2)

    await eventually(over)
    await eventually(lambda: simulator.stats()["concurrency"] == 0)


def test_without_a_lag_the_place_is_free_before_the_last_byte_is_read(api: Api, simulator) -> None:
    simulator.control(tier=1)
    for stall in (False, True):
        simulator.control(write_stall=stall)
        for _ in range(50):
            assert api.stream("hello").status == 200
            assert api.post(question("hello")).status_code == 200
    assert simulator.stats()["over_tier_starts"] == 0


async def test_aborted_work_has_no_lag(simulator) -> None:
    simulator.control(release_lag_ms=LONGEST_MS, first_token_ms=60_000)
    connect(simulator.base, question("hello", stream=True)).close()

    def aborted() -> dict:
        stats = simulator.stats()
        assert stats["outcomes"] == {"aborted": 1}
        return stats

    assert (await eventually(aborted))["concurrency"] == 0


def test_a_changed_lag_holds_for_those_who_wait_one_out(api: Api, simulator) -> None:
    simulator.control(release_lag_ms=LONGEST_MS)
    api.ask("hello")
    simulator.control(release_lag_ms=0)
    stats = simulator.stats()
    assert (stats["concurrency"], stats["outcomes"]) == (0, {"stop": 1})
    simulator.control(release_lag_ms=LONGEST_MS)
    api.ask("hello")
    simulator.control(reset=True)
    assert simulator.stats()["concurrency"] == 0


async def test_a_client_that_leaves_within_the_lag_changes_nothing(simulator) -> None:
    """Neither is the place free at once, nor is the answer called aborted."""

    def lingers() -> bool:
        simulator.control(reset=True, release_lag_ms=LONGEST_MS)
        with connect(simulator.base, question("hello", stream=True)) as connection:
            read_out(connection)
        return bool(simulator.stats()["work"]["lingering"] == 1)

    await eventually(lingers)
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    assert simulator.stats()["outcomes"] == {"stop": 1}
