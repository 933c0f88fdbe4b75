"""Turns and feeds on a real server: what the twins cannot show."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from service.store.channels import Channels
from service.store.connection import Commands
from service.store.log import Log, library
from service.store.subscriber import Subscriber
from tests.support.eventually import eventually
from tests.support.flow_rig import C, Client, FlowWorker
from tests.support.log_rig import begin, decoded, offsets, read
from tests.support.twins.model import Happening, ScriptedModel
from tests.support.valkey import Valkey

FUNCTIONS = library()


@pytest.fixture
def own() -> Iterator[Valkey]:
    """A server that keeps on disk whatever it said that it has."""
    with Valkey(durable=True) as server:
        yield server


class Crew:
    """Workers with connections of their own to one server."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self.url = url
        self._stack = stack

    async def worker(self, session: str, *scripts: list[Happening]) -> FlowWorker:
        worker: FlowWorker
        commands = await self._stack.enter_async_context(Commands.open(self.url, name=session))
        subscriber = await self._stack.enter_async_context(
            Subscriber.open(self.url, name=session, missed=lambda: worker.feeds.missed())
        )
        log = Log(commands, session=session, functions=FUNCTIONS)
        channels = Channels(commands, subscriber, session=session)
        worker = FlowWorker(log, channels, ScriptedModel(*scripts))
        self._stack.push_async_callback(worker.turns.drain, 0)
        await commands.wait_up()
        await eventually(lambda: subscriber.up)
        await begin(log, C)
        return worker

    async def text(self) -> str:
        """The answer as the store has it in the end."""
        async with Commands.open(self.url, name="check") as commands:
            await commands.wait_up()
            log = Log(commands, session="check", functions=FUNCTIONS)
            [message] = await log.messages(C, before=3, count=1)
            return str(decoded([message])[0]["text"])


@pytest.fixture
async def crew(own: Valkey) -> AsyncIterator[Crew]:
    async with AsyncExitStack() as stack:
        yield Crew(own.url, stack)


async def shown(client: Client) -> dict[int, str]:
    frames = await client.read()
    assert offsets(frames) == list(range(1, len(frames) + 1))
    return read(frames)


async def test_an_answer_is_seen_on_both_workers_as_it_grows_and_is_what_is_stored(crew):
    gate = asyncio.Event()
    a = await crew.worker("a", ["One 🙂", gate, *(f" {i}" for i in range(200))])
    b = await crew.worker("b")
    async with a.client() as asking, b.client() as watching:
        await a.say(asking, "Hello there")
        for client in (asking, watching):
            await eventually(lambda c=client: c.feed.top >= 3)
            assert (await shown(client))[2] == "One 🙂"
        gate.set()
        await a.quiet()
        await eventually(lambda: watching.feed.top == asking.feed.top)
        text = "One 🙂" + "".join(f" {i}" for i in range(200))
        assert await shown(asking) == await shown(watching) == {1: "Hello there", 2: text}
        assert await crew.text() == text


async def test_a_server_that_dies_in_mid_answer_and_comes_back_costs_nothing(own, crew):
    gates = [asyncio.Event(), asyncio.Event()]
    a = await crew.worker("a", ["One", gates[0], " two", " three", gates[1], " four"])
    b = await crew.worker("b")
    async with a.client() as asking, b.client() as watching:
        await a.say(asking, "Hello there")
        await eventually(lambda: watching.feed.top >= 3)
        own.kill()
        for gate in gates:
            gate.set()
        await eventually(lambda: a.model.open == 0)
        assert await shown(asking) == {1: "Hello there", 2: "One"}
        own.start()
        await a.quiet()
        await eventually(lambda: watching.feed.top == asking.feed.top)
        told = {1: "Hello there", 2: "One two three four"}
        assert await shown(asking) == await shown(watching) == told
        assert await crew.text() == told[2]
        assert (asking.snapshots, watching.snapshots) == (1, 1)


async def test_a_server_that_stands_still_for_a_moment_costs_nothing(own, crew):
    gate = asyncio.Event()
    a, b = await crew.worker("a", ["One", gate, " two", " three"]), await crew.worker("b")
    async with a.client() as asking, b.client() as watching:
        await a.say(asking, "Hello there")
        await eventually(lambda: watching.feed.top >= 3)
        own.pause()
        gate.set()
        await eventually(lambda: a.model.open == 0)
        own.resume()
        await a.quiet()
        await eventually(lambda: watching.feed.top == asking.feed.top)
        assert (
            await shown(asking) == await shown(watching) == {1: "Hello there", 2: "One two three"}
        )


async def test_connections_that_break_again_and_again_lose_no_word_and_double_none(own, crew):
    gates = [asyncio.Event() for _ in range(8)]
    story: list[Happening] = []
    for number, gate in enumerate(gates):
        story += [*(f"{number}.{i} " for i in range(20)), gate]
    a, b = await crew.worker("a", [*story, "end"]), await crew.worker("b")
    text = "".join(piece for piece in [*story, "end"] if isinstance(piece, str))
    async with a.client() as asking, b.client() as watching:
        await a.say(asking, "Hello there")
        with own.client() as client:
            for number, gate in enumerate(gates):
                await eventually(lambda n=number: f"{n}.3" in read(asking.feed.after(0)).get(2, ""))
                gate.set()
                client.client_kill_filter(skipme=True, _type="normal" if number % 2 else "pubsub")
        await a.quiet()
        await eventually(lambda: watching.feed.top == asking.feed.top)
        told = {1: "Hello there", 2: text}
        assert await shown(asking) == await shown(watching) == told
        assert await crew.text() == text


async def test_a_server_that_comes_back_empty_ends_the_turn_and_the_worker_goes_on(crew, own):
    gate = asyncio.Event()
    a = await crew.worker("a", ["One", gate, " two"], ["Anew."])
    async with a.client() as client:
        await a.say(client, "Hello there")
        await eventually(lambda: client.feed.top >= 3)
        with own.client() as redis:
            redis.flushall()
        gate.set()
        await a.quiet()
        assert (a.model.open, a.permits.held) == (0, {})
    await begin(a.log, C, epoch="e2")
    async with a.client() as client:
        await a.say(client, "Hello again")
        await a.quiet()
        assert await shown(client) == {1: "Hello again", 2: "Anew."}
