"""A client that closes its connection, and a model that notices it late, or never."""

import time

import pytest

from tests.simulator.api import Api, code_of, connect, question
from tests.support.eventually import eventually

EARLY_S = 0.005  # the event loop's clock counts milliseconds
HOURS_MS = 600_000


async def left(simulator, simulate: str = "", *, stream: bool = True) -> float:
    """A client comes and goes; when it went."""
    body = question("hello", stream=stream)
    connection = connect(simulator.base, body, simulate)
    await eventually(lambda: simulator.stats()["starts"] == 1)
    gone = time.monotonic()
    connection.close()
    return gone


async def unnoticed(simulator) -> None:
    await eventually(lambda: simulator.stats()["work"]["unnoticed"] == 1)
    assert simulator.stats()["concurrency"] == 1


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("stall", [False, True], ids=["", "write_stall"])
async def test_a_client_that_left_counts_until_it_is_noticed(
    simulator, stream: bool, stall: bool
) -> None:
    simulator.control(first_token_ms=60_000, disconnect_delay_ms=400, write_stall=stall)
    gone = await left(simulator, stream=stream)
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    assert time.monotonic() - gone >= 0.4 - EARLY_S
    assert simulator.stats()["outcomes"] == {"aborted": 1}
    assert [one["outcome"] for one in simulator.requests()] == ["aborted"]


@pytest.mark.parametrize("fault", ["hang", "stall after=1", "stall after=0; split"])
async def test_a_silent_model_notices_late_too(simulator, fault: str) -> None:
    simulator.control(disconnect_delay_ms=HOURS_MS)
    await left(simulator, fault)
    await unnoticed(simulator)
    simulator.control(disconnect_delay_ms=1)
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    assert simulator.stats()["outcomes"] == {"aborted": 1}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("stall", [False, True], ids=["", "write_stall"])
@pytest.mark.parametrize("delay", ["never", None, HOURS_MS], ids=str)
async def test_the_work_of_a_client_that_left_goes_on_to_its_own_end(
    simulator, stream: bool, stall: bool, delay: object
) -> None:
    simulator.control(disconnect_delay_ms=delay, write_stall=stall)
    simulator.control(first_token_ms=200, tokens_per_second=100, jitter=0)
    begun = time.monotonic()
    await left(simulator, "long tokens=31", stream=stream)
    await unnoticed(simulator)
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    assert time.monotonic() - begun >= 0.5 - EARLY_S  # 200 ms, then 30 gaps of 10 ms
    assert simulator.stats()["outcomes"] == {"stop": 1}
    assert [one["outcome"] for one in simulator.requests()] == ["stop"]


async def test_a_start_before_the_leave_is_noticed_is_over_the_tier(api: Api, simulator) -> None:
    simulator.control(tier=1, first_token_ms=60_000, disconnect_delay_ms=HOURS_MS)
    await left(simulator)
    await unnoticed(simulator)
    refused = api.post(question("hello"))
    assert (refused.status_code, code_of(refused)) == (429, "1302")
    assert simulator.stats()["over_tier_starts"] == 1
    simulator.control(enforce_tier=False, first_token_ms=0)
    assert api.post(question("hello")).status_code == 200
    stats = simulator.stats()
    assert (stats["over_tier_starts"], stats["max_concurrency"]) == (2, 2)


@pytest.mark.parametrize("change", [{"disconnect_delay_ms": 0}, {"reset": True}], ids=str)
@pytest.mark.parametrize("delay", ["never", HOURS_MS])
async def test_a_changed_delay_holds_for_those_who_left_before(simulator, change, delay) -> None:
    simulator.control(disconnect_delay_ms=delay)
    await left(simulator, "hang")
    await unnoticed(simulator)
    simulator.control(**change)
    stats = simulator.stats()
    assert stats["concurrency"] == 0
    assert stats["outcomes"] == ({} if "reset" in change else {"aborted": 1})


async def test_a_longer_delay_holds_for_those_who_left_before(simulator) -> None:
    simulator.control(disconnect_delay_ms=700)
    await left(simulator, "hang")
    await unnoticed(simulator)
    simulator.control(disconnect_delay_ms="never")
    changed = time.monotonic()
    await eventually(lambda: time.monotonic() - changed > 0.7)  # the first delay is over by now
    assert simulator.stats()["work"]["unnoticed"] == 1


async def test_work_that_came_to_its_end_unnoticed_has_the_lag(simulator) -> None:
    simulator.control(disconnect_delay_ms="never", release_lag_ms=500, first_token_ms=300)
    simulator.control(jitter=0)
    begun = time.monotonic()
    await left(simulator)
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    assert time.monotonic() - begun >= 0.8 - EARLY_S
    assert simulator.stats()["outcomes"] == {"stop": 1}


async def test_the_end_of_an_unnoticed_work_is_not_aborted_later(simulator) -> None:
    """The delay ends within the lag of work that ended by itself: only the lag counts."""
    simulator.control(disconnect_delay_ms=500, release_lag_ms=500, first_token_ms=250, jitter=0)
    begun = time.monotonic()
    await left(simulator)
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    assert time.monotonic() - begun >= 0.75 - EARLY_S
    assert simulator.stats()["outcomes"] == {"stop": 1}


async def test_the_same_request_id_is_taken_until_the_leave_is_noticed(api, simulator) -> None:
    simulator.control(duplicate_request_id="refuse", disconnect_delay_ms=HOURS_MS)
    body = question("hello", request_id="the-same", stream=True)
    connect(simulator.base, body, "hang").close()
    await unnoticed(simulator)
    assert code_of(api.post(question("hello", request_id="the-same"))) == "1231"
    simulator.control(disconnect_delay_ms=0)
    again = question("hello", request_id="the-same")
    await eventually(lambda: api.post(again).status_code == 200)
