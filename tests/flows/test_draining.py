"""A worker that drains begins nothing that another one would begin better."""

import asyncio

from service.flows.feed import Follower
from tests.flows.test_turn import ends
from tests.support.eventually import eventually
from tests.support.flow_rig import C
from tests.support.log_rig import read


async def test_the_next_turn_goes_to_the_worker_that_the_customer_went_to(flows):
    gate = asyncio.Event()
    leaving = await flows.worker(["One", gate, "."], ["not", " here"], session="a")
    async with leaving.client() as client:
        await leaving.say(client, "Hello there")
        await eventually(lambda: client.feed.top >= 3)
        await leaving.say(client, "And another thing")
        draining = asyncio.create_task(leaving.turns.drain(5))
        await asyncio.sleep(0)
        gate.set()
        assert await draining == 0
    assert ends(await flows.entries()) == ["stop"]
    turn = flows.memory.conversations[C]
    assert turn.turn is not None and turn.lease == 0, "opened, and given away before it began"
    assert len(leaving.model.requests) == 1


async def test_the_next_turn_is_run_while_its_customer_is_still_here(flows):
    gate = asyncio.Event()
    worker = await flows.worker(["One", gate, "."], ["Two."], session="a")
    async with worker.client() as client:
        client.feed.followers.add(Follower())
        await worker.say(client, "Hello there")
        await eventually(lambda: client.feed.top >= 3)
        await worker.say(client, "And another thing")
        draining = asyncio.create_task(worker.turns.drain(5))
        await asyncio.sleep(0)
        gate.set()
        assert await draining == 0
    assert ends(await flows.entries()) == ["stop", "stop"]


async def test_without_a_drain_the_next_turn_is_run_though_nobody_is_here(flows):
    worker = await flows.worker(["One."], ["Two."], session="a")
    async with worker.client() as client:
        await worker.say(client, "Hello there")
        await worker.say(client, "And another thing")
        await worker.quiet()
    assert ends(await flows.entries()) == ["stop", "stop"]
    assert "Two." in read(await flows.entries()).values()
