"""The tier, counted by the simulator itself."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from service.simulator.options import OptionError, parse_tier
from service.simulator.tier import Tier
from tests.simulator.api import KEY, question
from tests.support.eventually import eventually

SLOW = {"X-Simulate": "stall after=1"}


@pytest.fixture
async def client(simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=simulator.base,
        headers={"Authorization": f"Bearer {KEY}"},
        limits=httpx.Limits(max_connections=200),
        timeout=20,
        verify=False,
    ) as client:
        yield client


async def start(client: httpx.AsyncClient, **fields) -> httpx.Response:
    """A stalled stream, or the refusal."""
    body = question("hello", stream=True, **fields)
    request = client.build_request("POST", "/chat/completions", json=body, headers=SLOW)
    return await client.send(request, stream=True)


async def test_one_more_than_the_tier_is_refused_with_1302(client, simulator) -> None:
    answers = await asyncio.gather(*(start(client) for _ in range(51)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert [answer.status_code for answer in refused] == [429]
    assert await refused[0].aread() == (
        '{"error":{"code":"1302","message":'
        '"您当前使用该API的并发数过高，请降低并发，或联系客服增加限额。"}}'.encode()
    )
    stats = simulator.stats()
    assert stats["tier"] == 50
    assert stats["concurrency"] == stats["max_concurrency"] == 50
    assert stats["over_tier_starts"] == 1
    assert stats["starts"] == 50
    assert stats["outcomes"] == {"error_1302": 1}
    for answer in answers:
        await answer.aclose()
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    assert simulator.stats()["outcomes"] == {"aborted": 50, "error_1302": 1}


async def test_each_account_and_model_has_a_tier_of_its_own(client, simulator) -> None:
    simulator.control(tier=1)
    first = await start(client)
    other_model = await start(client, model="glm-4-plus")
    assert (first.status_code, other_model.status_code) == (200, 200)
    client.headers["Authorization"] = "Bearer someone.else"
    other_account = await start(client)
    assert other_account.status_code == 200
    assert (await start(client)).status_code == 429
    lines = {(one["account"], one["model"]): one for one in simulator.stats()["per_model"]}
    assert len(lines) == 3
    assert [one["max_concurrency"] for one in lines.values()] == [1, 1, 1]


async def test_the_tier_can_be_changed_while_requests_are_in_flight(client, simulator) -> None:
    simulator.control(tier="2")
    answers = [await start(client) for _ in range(2)]
    assert simulator.control(tier=1)["tier"] == 1
    assert (await start(client)).status_code == 429  # lowering kills nothing, and admits nothing
    assert simulator.stats()["concurrency"] == 2
    simulator.control(tier="V3")
    assert (await start(client)).status_code == 200
    assert all(answer.status_code == 200 for answer in answers)


async def test_the_tier_can_count_without_refusing(client, simulator) -> None:
    simulator.control(tier=1, enforce_tier=False)
    answers = [await start(client) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    stats = simulator.stats()
    assert (stats["max_concurrency"], stats["over_tier_starts"]) == (3, 2)


async def test_a_refused_request_does_not_count_as_in_flight(client, simulator) -> None:
    for kind in ("1302", "1305", "1113", "500"):
        await client.post("/chat/completions", json=question(), headers={"X-Simulate": kind})
    stats = simulator.stats()
    assert (stats["starts"], stats["max_concurrency"], stats["over_tier_starts"]) == (0, 0, 0)


async def test_seconds_are_counted_one_by_one(client, simulator) -> None:
    await client.post("/chat/completions", json=question())
    seconds = simulator.stats()["seconds"]
    assert sum(second["starts"] for second in seconds) == 1
    assert sum(second["ends"] for second in seconds) == 1
    assert max(second["max_concurrency"] for second in seconds) == 1
    assert sum(second["model_tokens"] for second in seconds) > 10
    numbers = [second["second"] for second in seconds]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_quiet_seconds_are_filled_in() -> None:
    tier = Tier()
    line = tier.enter("a", "m", limit=1, enforce=True, now=100)
    assert line is not None
    assert tier.enter("a", "m", limit=1, enforce=True, now=101) is None
    tier.leave(line, now=103)
    seconds = tier.snapshot(now=104)["seconds"]
    assert [one["second"] for one in seconds] == [100, 101, 102, 103, 104]
    assert [one["concurrency"] for one in seconds] == [1, 1, 1, 0, 0]
    assert [one["refused"] for one in seconds] == [0, 1, 0, 0, 0]


def test_a_clock_that_goes_back_or_far_ahead_breaks_nothing() -> None:
    tier = Tier()
    line = tier.enter("a", "m", limit=1, enforce=True, now=100)
    assert line is not None
    tier.leave(line, now=90)
    tier.enter("a", "m", limit=1, enforce=True, now=10**9)
    assert [one["second"] for one in tier.snapshot(now=10**9)["seconds"]] == [10**9]


def test_leaving_twice_is_an_error() -> None:
    tier = Tier()
    line = tier.enter("a", "m", limit=1, enforce=True, now=1)
    assert line is not None
    tier.leave(line, now=1)
    with pytest.raises(RuntimeError, match="nothing is in flight for a on m"):
        tier.leave(line, now=1)


@pytest.mark.parametrize(
    ("value", "number"),
    [("V0", 50), ("v1", 100), ("V2", 300), ("V3", 500), (7, 7), ("12", 12)],
)
def test_tiers_have_names_and_numbers(value: object, number: int) -> None:
    assert parse_tier(value) == number


@pytest.mark.parametrize("value", ["V4", "", 0, -1, 1.5, True, None, "100001"])
def test_a_wrong_tier_is_named(value: object) -> None:
    with pytest.raises(OptionError, match="tier: "):
        parse_tier(value)
