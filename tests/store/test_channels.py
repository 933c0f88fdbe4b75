"""Channels: what one worker says of a conversation, the others hear."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from service.core import hints
from service.core.errors import StoreUnavailable
from service.store import keys
from service.store.channels import Channels
from service.store.connection import Commands
from service.store.subscriber import Subscriber
from tests.support.eventually import eventually
from tests.support.log_rig import ServerWorld, ask, begin

C = "conversation-1"
FRAME = b'{"type":"queue.updated","position":1,"eta_ms":0,"reason":"model"}'


class Workers:
    """Workers on one server, each with connections of its own."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self.url = url
        self.stack = stack

    async def join(self, session: str) -> tuple[Channels, list[hints.Hint]]:
        """A worker that follows the conversation, and what it hears."""
        connected = asyncio.Event()
        commands = await self.stack.enter_async_context(Commands.open(self.url, name=session))
        subscriber = await self.stack.enter_async_context(
            Subscriber.open(self.url, name=session, missed=connected.set)
        )
        await connected.wait()
        await commands.wait_up()
        channels, heard = Channels(commands, subscriber, session=session), []
        await channels.follow(C, heard.append)
        return channels, heard


@pytest.fixture
async def workers(redis_url) -> AsyncIterator[Workers]:
    async with AsyncExitStack() as stack:
        yield Workers(redis_url, stack)


async def test_the_others_hear_what_one_shows_and_asks_and_the_speaker_does_not(workers):
    (a, at_a), (_, at_b), (_, at_c) = [await workers.join(name) for name in "abc"]
    await a.show(C, FRAME)
    await a.ask(C)
    said = [hints.Shown("a", FRAME), hints.Asked("a")]
    await eventually(lambda: at_b == said and at_c == said)
    assert at_a == []


async def test_only_who_follows_a_conversation_hears_of_it(workers):
    (a, _), (b, at_b) = [await workers.join(name) for name in "ab"]
    await a.show("another", FRAME)
    await a.show(C, FRAME)
    await eventually(lambda: at_b == [hints.Shown("a", FRAME)])
    await b.leave(C)
    await a.show(C, FRAME)
    await b.follow(C, at_b.append)
    await a.ask(C)
    await eventually(lambda: hints.Asked("a") in at_b)
    assert at_b == [hints.Shown("a", FRAME), hints.Asked("a")]


async def test_a_write_of_another_worker_is_heard_and_a_write_of_its_own_is_not(workers):
    (_, at_a), (_, at_b) = [await workers.join(name) for name in "ab"]
    async with ServerWorld.at(workers.url) as world:
        log = world.log("a")
        await begin(log, C)
        await ask(log, C)
        [heard] = await eventually(lambda: at_b)
        assert isinstance(heard, hints.Logged)
        assert (heard.session, heard.epoch, heard.first, len(heard.frames)) == ("a", "e1", 1, 2)
        assert at_a == []
        await log.stop(C, 2)
    await eventually(lambda: at_a == [hints.Stopped("a", 2)] == at_b[1:])


async def test_what_a_newer_version_says_is_not_heard(workers, redis):
    _, heard = await workers.join("a")
    for message in (b"N w\nnews", b"\xff", FRAME, b"E w\nlast"):
        await redis.execute_command("SPUBLISH", keys.conversation(C).channel, message)
    await eventually(lambda: heard == [hints.Shown("w", b"last")])


async def test_speaking_while_redis_is_away_is_no_error_for_it_was_only_a_hint(tmp_path):
    nowhere = f"unix://{tmp_path}/nobody.sock"
    async with AsyncExitStack() as stack:
        commands = await stack.enter_async_context(Commands.open(nowhere, name="a"))
        subscriber = await stack.enter_async_context(
            Subscriber.open(nowhere, name="a", missed=lambda: None)
        )
        channels = Channels(commands, subscriber, session="a")
        await channels.show(C, FRAME)
        await channels.ask(C)
        with pytest.raises(StoreUnavailable):
            await channels.follow(C, lambda hint: None)
        await channels.leave(C)
