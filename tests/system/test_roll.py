"""A deploy in the middle of answers: nothing is lost, nothing is said twice, nobody is refused."""

import asyncio
import os
import signal

import pytest

from tests.support.client import Client, customer
from tests.support.eventually import eventually
from tests.support.instance import Instance, Simulator
from tests.support.valkey import Valkey
from tests.system.roll import ANSWER, SCRIPTS, play, rolls
from tests.system.test_trouble import owners, reconnect

CUSTOMERS = 40
SILENCE_S = 3.0  # a machine that is busy with other tests; alone it is a third of a second
STOPPED_S = 4.0  # longer than a lease; the supervisor kills who is silent for five
QUESTION = "How long does shipping to Norway take?"


@pytest.fixture(scope="module")
def simulator():
    with Simulator(tier=100) as running:
        yield running


@pytest.mark.timeout(180)
async def test_two_rolls_under_streaming_answers_are_not_seen(simulator):
    with (
        Valkey() as valkey,
        Instance(
            valkey.url, simulator.url, workers=2, PARLEY_TIER="V1", PARLEY_DRAIN_S="10"
        ) as instance,
    ):
        simulator.control(reset=True, tokens_per_second=25, scripts=SCRIPTS)
        before = {worker["pid"] for worker in instance.workers()}
        seen = await play(instance, CUSTOMERS, every_s=3.0, times=2)
        print(f"{rolls(instance)} rolls: {seen}")
        assert rolls(instance) == 2  # the second was asked for during the first
        assert not before & {worker["pid"] for worker in instance.workers()}
        assert "worker_killed" not in instance.program.log.read_text()
    assert seen.moves >= CUSTOMERS and seen.answers >= 2 * CUSTOMERS
    assert (seen.rewinds, seen.refused, seen.cuts, seen.texts) == (0, 0, [], {ANSWER})
    assert seen.longest_s < SILENCE_S


async def test_what_a_draining_worker_cannot_end_goes_on_where_its_customer_went(simulator):
    """The drain is shorter than the answer: it is given away in good order, and adopted at once."""
    simulator.control(
        reset=True, first_token_ms=50, tokens_per_second=10, continuation="exact", scripts=SCRIPTS
    )
    with (
        Valkey() as valkey,
        Instance(valkey.url, simulator.url, workers=2, PARLEY_DRAIN_S="4") as instance,
    ):
        seen = await play(instance, 4, every_s=2.0, times=1)
        print(seen)
        assert "adopted" in instance.program.log.read_text()
    assert seen.attempts > 0
    assert (seen.rewinds, seen.refused, seen.cuts, seen.texts) == (0, 0, [], {ANSWER})


async def test_a_worker_that_stood_still_for_longer_than_a_lease_closes_its_sockets(simulator):
    simulator.control(reset=True, first_token_ms=100, tokens_per_second=10)
    with Valkey() as valkey, Instance(valkey.url, simulator.url, workers=2) as instance:
        async with customer(instance.url) as client:
            name = await client.send(QUESTION)
            await client.until(lambda: len(client.view.messages.get(2, {}).get("text", "")) > 20)
            (stopped,) = owners(valkey, instance, client)
            os.kill(stopped, signal.SIGSTOP)
            await asyncio.sleep(STOPPED_S)  # the fault itself: this is how long it lasts
            os.kill(stopped, signal.SIGCONT)
            assert await client.closed() == 4430
            await reconnect(client)
            answer = await client.answer_to(client.acks[name]["m"], within=30.0)
            assert answer["reason"] == "stop"
            fresh = Client(instance.url)
            fresh.session = client.session
            await fresh.connect(fresh=True)
            await fresh.until(lambda: 2 in fresh.view.messages)
            assert fresh.view.messages[2]["text"] == answer["text"]
            await fresh.stop()
        said = instance.program.log.read_text()
        assert '"event": "stood_still"' in said and "worker_silent" not in said
        await eventually(lambda: stopped in {worker["pid"] for worker in instance.workers()})
