"""Two versions of the functions on the same keys, as while a deploy rolls, and versions too far
apart for that.

`versions/permits_0.1.0.lua` is the library that the first version shipped, as it was.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.core.permit_errors import PermitsSchema
from service.store.functions import Library
from service.store.permit_office import PermitOffice
from service.store.permit_steps import Reply, library, read_reply
from tests.support.permit_rig import CLOCK, Crew, Worker, drained, leave, state_is

TIER = 6
FIRST = Path(__file__).with_name("versions") / "permits_0.1.0.lua"


def first_version() -> Library:
    source = FIRST.read_text()
    found = re.match(r"#!lua name=(\w+_(\w{12}))\n", source)
    assert found, "the file is not a library any more"
    return Library(found[1], source, found[2])


class FirstOffice(PermitOffice):
    """Speaks as a worker of the first version: fewer keys, words and answers."""

    async def step(self, session: str, words: list) -> Reply:
        words = [*words[:7], *words[8:]]
        raw = await self._commands.call(self._step, self.keys[:10], [session, *words])
        return read_reply([*raw, [], -1, 0, raw[5]])


@pytest.fixture
async def crew(redis_url: str) -> AsyncIterator[Crew]:
    async with Crew(redis_url, tier=TIER) as crew:
        yield crew


async def old_worker(crew: Crew, session: str) -> Worker:
    worker = await crew.worker(session, functions=first_version(), office=FirstOffice)
    return worker


def of_schema(number: int) -> Library:
    return library(clock=CLOCK, permits_schema=f"local SCHEMA = {number}")


# -- rolling ----------------------------------------------------------------------------------


class Load:
    """Callers who want more than there is, on whichever workers there are at the moment."""

    def __init__(self) -> None:
        self.workers: list[Worker] = []
        self.inside = self.most = self.done = 0
        self._draw = random.Random(5)

    async def call(self, number: int) -> None:
        while True:
            worker = self._draw.choice(self.workers)
            async with worker.acquire(str(number % 5), within=30):
                self.inside += 1
                self.most = max(self.most, self.inside)
                try:
                    await asyncio.sleep(self._draw.random() * 0.02)
                finally:
                    self.inside -= 1
            self.done += 1

    async def more(self, count: int, eventually) -> None:
        until = self.done + count
        await eventually(lambda: self.done >= until, within=20)


@pytest.mark.parametrize("forward", [True, False], ids=["forward", "back"])
async def test_rolling_from_one_version_to_the_other_under_load_keeps_the_count(
    crew: Crew, eventually, forward: bool
):
    async def before(session: str) -> Worker:
        return await (old_worker(crew, session) if forward else crew.worker(session))

    async def after(session: str) -> Worker:
        return await (crew.worker(session) if forward else old_worker(crew, session))

    load = Load()
    load.workers = [await before("a1"), await before("b1")]
    callers = [asyncio.create_task(load.call(number)) for number in range(24)]
    try:
        await load.more(100, eventually)
        for number in range(2):
            load.workers.append(await after(f"{'ab'[number]}2"))
            await load.more(100, eventually)
            gone = load.workers.pop(0)
            await eventually(lambda gone=gone: not gone.permits.waiting and not gone.permits.held)
            await gone.end()
            await load.more(100, eventually)
    finally:
        for caller in callers:
            caller.cancel()
        results = await asyncio.gather(*callers, return_exceptions=True)
    assert {type(result) for result in results} == {asyncio.CancelledError}
    assert load.most == TIER
    await drained(crew)


async def test_the_versions_hand_permits_to_each_other_and_fence_each_other(crew: Crew, eventually):
    old, new = await old_worker(crew, "old"), await crew.worker("new")
    taken = await old.take(TIER)
    waiting = asyncio.create_task(new.take(1))
    await eventually(state_is(crew, waiting=1))
    await leave(taken[0])
    (mine,) = await waiting
    waiting = asyncio.create_task(old.take(1))
    await eventually(state_is(crew, waiting=1))
    await leave(mine)
    await waiting
    await old.silence()
    await crew.office.fence("old")
    await eventually(state_is(crew, used=0))


# -- schemas ----------------------------------------------------------------------------------


async def test_schemas_one_apart_work_side_by_side(crew: Crew, eventually):
    one = await crew.worker("one", functions=of_schema(1))
    two = await crew.worker("two", functions=of_schema(2))
    taken = await one.take(TIER)
    waiting = asyncio.create_task(two.take(1))
    await eventually(state_is(crew, waiting=1))
    await leave(taken[0])
    await waiting
    await eventually(state_is(crew, used=TIER, schema=2))


@pytest.mark.parametrize("here,comes", [(1, 3), (3, 1), (5, 2)])
async def test_a_worker_more_than_one_schema_apart_is_refused_by_name_and_the_count_stays(
    crew: Crew, eventually, here: int, comes: int
):
    one = await crew.worker("one", functions=of_schema(here))
    taken = await one.take(TIER - 1)
    far = await crew.worker("far", functions=of_schema(comes), registers=False)
    waiting = far.acquire(within=30)
    with pytest.raises(PermitsSchema, match="roll through the versions between"):
        await waiting.__aenter__()
    assert not far.permits.registered
    state = await one.office.state()
    assert (state.used, set(state.sessions), state.recovering) == (TIER - 1, {"one"}, False)
    async with one.acquire():
        pass
    for holder in taken:
        await leave(holder)
    await one.end()
    await eventually(lambda: far.permits.registered, within=10)
    async with far.acquire():
        assert (await far.office.state()).used == 1


async def test_a_supervisor_more_than_one_schema_apart_is_refused(crew: Crew):
    one = await crew.worker("one", functions=of_schema(4))
    (taken,) = await one.take(1)
    for attempt in (crew.office.fence("one"), crew.office.set_limit(2), crew.office.expect("x")):
        with pytest.raises(PermitsSchema):
            await attempt
    assert (await one.office.state()).used == 1
    await leave(taken)


async def test_a_stopped_worker_of_a_far_schema_stays_counted_in_the_epoch_of_the_other(
    crew: Crew, eventually
):
    one = await crew.worker("one", functions=of_schema(1))
    held = await one.take(TIER - 2)
    await one.silence()
    far = await crew.worker("far", functions=of_schema(3), registers=False)
    await eventually(lambda: far.permits.registered, within=15)
    state = await far.office.state()
    assert (state.recovering, state.absent, state.admissible, state.schema) == (True, ["one"], 0, 3)
    one.resume()
    with pytest.raises(PermitsSchema):
        async with one.acquire(within=30):
            raise AssertionError("the two cannot read each other")
    for holder in held:
        await leave(holder)
    await far.office.fence("one")
    async with far.acquire(within=10):
        assert (await far.office.state()).used == 1
