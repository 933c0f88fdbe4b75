"""The subscriber connection: certain once it follows, and honest about what it missed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from service.core.errors import StoreUnavailable
from service.store import subscriber as module
from service.store.subscriber import Subscriber
from tests.support.eventually import eventually
from tests.support.valkey import Valkey

CHANNEL = "parley:{p00}:channel:c"


class Ear:
    """Follows channels, and remembers what was heard and how often something was missed."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.missed = 0
        self.subscriber: Subscriber

    def miss(self) -> None:
        self.missed += 1


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Ear]:
    ear = Ear()
    async with Subscriber.open(url, name="test", missed=ear.miss) as ear.subscriber:
        await eventually(lambda: ear.missed)
        yield ear


@pytest.fixture
async def ear(redis_url) -> AsyncIterator[Ear]:
    async with listening(redis_url) as there:
        yield there


@pytest.fixture
def own() -> Iterator[Valkey]:
    """A server of this test's own, to hurt."""
    with Valkey() as server:
        yield server


async def test_what_is_said_after_follow_returned_is_heard(ear, redis):
    for i in range(50):
        channel = f"{CHANNEL}{i}"
        await ear.subscriber.follow(channel, ear.heard.append)
        assert await redis.execute_command("SPUBLISH", channel, str(i)) == 1
    await eventually(lambda: ear.heard == [b"%d" % i for i in range(50)])


async def test_messages_come_in_order_and_unchanged(ear, redis):
    await ear.subscriber.follow(CHANNEL, ear.heard.append)
    said = [b"%d \x00\xff\r\n" % i for i in range(500)]
    for message in said:
        await redis.execute_command("SPUBLISH", CHANNEL, message)
    await eventually(lambda: ear.heard == said)


async def test_following_twice_hears_once_and_leaving_hears_no_more(ear, redis):
    await ear.subscriber.follow(CHANNEL, ear.heard.append)
    await ear.subscriber.follow(CHANNEL, ear.heard.append)
    await redis.execute_command("SPUBLISH", CHANNEL, "one")
    await eventually(lambda: ear.heard == [b"one"])
    await ear.subscriber.leave(CHANNEL)
    await eventually(lambda: _listeners(redis, CHANNEL, 0))
    await redis.execute_command("SPUBLISH", CHANNEL, "two")
    await ear.subscriber.follow(CHANNEL, ear.heard.append)
    await redis.execute_command("SPUBLISH", CHANNEL, "three")
    await eventually(lambda: ear.heard == [b"one", b"three"])


async def _listeners(redis, channel: str, wanted: int) -> bool:
    [_, count] = await redis.execute_command("PUBSUB", "SHARDNUMSUB", channel)
    return count == wanted


async def test_leaving_and_following_in_one_breath_follows(ear, redis):
    await ear.subscriber.follow(CHANNEL, ear.heard.append)
    for _ in range(20):
        await asyncio.gather(
            ear.subscriber.leave(CHANNEL), ear.subscriber.follow(CHANNEL, ear.heard.append)
        )
    await redis.execute_command("SPUBLISH", CHANNEL, "still")
    await eventually(lambda: ear.heard == [b"still"])


async def test_leaving_what_nobody_follows_is_no_error(ear):
    await ear.subscriber.leave("nobody")


async def test_after_the_connection_was_away_it_says_so_and_follows_again(own):
    async with listening(own.url) as ear:
        await ear.subscriber.follow(CHANNEL, ear.heard.append)
        own.kill()
        own.start()
        with own.client() as client:
            client.execute_command("SPUBLISH", CHANNEL, "lost")
            await eventually(lambda: ear.missed == 2)
            await eventually(lambda: client.execute_command("SPUBLISH", CHANNEL, "again"))
        await eventually(lambda: b"again" in ear.heard)
        assert b"lost" not in ear.heard


async def test_missed_is_called_only_when_everything_is_followed_again(own):
    """Whoever reads the log then must not miss what is said right after."""
    async with listening(own.url) as ear:
        channels = [f"{CHANNEL}{i}" for i in range(200)]
        for channel in channels:
            await ear.subscriber.follow(channel, ear.heard.append)
        told: list[int] = []
        with own.client() as client:
            ear.subscriber._missed = lambda: told.append(  # what a worker does: it looks at once
                sum(client.execute_command("SPUBLISH", channel, "x") for channel in channels)
            )
            client.client_kill_filter(_type="pubsub")
            await eventually(lambda: told)
        assert told[0] == 200


async def test_a_follower_that_waits_when_the_connection_breaks_is_told(own):
    async with listening(own.url) as ear:
        own.pause()
        waiting = asyncio.create_task(ear.subscriber.follow(CHANNEL, ear.heard.append))
        await asyncio.sleep(0)
        own.kill()
        with pytest.raises(StoreUnavailable):
            await waiting


async def test_following_while_the_server_is_away_is_refused_at_once(own):
    async with listening(own.url) as ear:
        own.kill()
        await eventually(lambda: not ear.subscriber.up)
        with pytest.raises(StoreUnavailable):
            await ear.subscriber.follow(CHANNEL, ear.heard.append)
        await ear.subscriber.leave(CHANNEL)


async def test_a_server_that_does_not_confirm_is_not_waited_for_long(own, monkeypatch):
    monkeypatch.setattr(module, "SUBSCRIBED_S", 0.1)
    async with listening(own.url) as ear:
        own.pause()
        with pytest.raises(StoreUnavailable):
            await ear.subscriber.follow(CHANNEL, ear.heard.append)
        own.resume()


async def test_a_server_that_falls_silent_is_noticed_without_a_word_to_say(own, monkeypatch):
    """A line that was cut without a goodbye looks exactly like one on which nobody speaks."""
    monkeypatch.setattr(module, "SILENT_S", 0.2)
    async with listening(own.url) as ear:
        await ear.subscriber.follow(CHANNEL, ear.heard.append)
        own.pause()
        await eventually(lambda: not ear.subscriber.up)
        own.resume()
        await eventually(lambda: ear.missed == 2)
        with own.client() as client:
            await eventually(lambda: client.execute_command("SPUBLISH", CHANNEL, "again"))
        await eventually(lambda: b"again" in ear.heard)


@pytest.mark.parametrize("followed", [0, 1])
async def test_a_quiet_server_that_answers_is_not_left(own, monkeypatch, followed):
    monkeypatch.setattr(module, "SILENT_S", 0.05)
    async with listening(own.url) as ear:
        for i in range(followed):
            await ear.subscriber.follow(f"{CHANNEL}{i}", ear.heard.append)
        with own.client() as client:
            await eventually(lambda: _pings(client) >= 5)
        assert ear.missed == 1


def _pings(client) -> int:
    stats = client.info("commandstats").get("cmdstat_ping", {"calls": 0})
    return int(stats["calls"])


async def test_two_who_follow_one_channel_while_it_reconnects_both_get_through(own):
    async with listening(own.url) as ear:
        await ear.subscriber.follow(CHANNEL, ear.heard.append)
        for round in range(2, 12):
            with own.client() as client:
                client.client_kill_filter(_type="pubsub")
            await eventually(lambda: not ear.subscriber.up, every=0)
            await eventually(lambda: ear.subscriber.up, every=0)
            async with asyncio.timeout(2):
                await ear.subscriber.follow(CHANNEL, ear.heard.append)
            await eventually(lambda r=round: ear.missed == r)


async def test_a_receiver_that_fails_does_not_deafen_the_others(ear, redis):
    def broken(message: bytes) -> None:
        raise ValueError("a mistake of its own")

    await ear.subscriber.follow("broken", broken)
    await ear.subscriber.follow(CHANNEL, ear.heard.append)
    await redis.execute_command("SPUBLISH", "broken", "one")
    await redis.execute_command("SPUBLISH", CHANNEL, "two")
    await eventually(lambda: ear.heard == [b"two"])
