"""The proxy itself: on a real server, with the product's own connections."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import pytest
import redis.asyncio
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Broken

from service.core.errors import StoreUnavailable
from service.store import connection
from service.store.connection import Commands
from service.store.functions import Library
from service.store.subscriber import Subscriber
from tests.chaos.resp import NotResp, Splitter, words
from tests.chaos.resp_proxy import RespProxy
from tests.chaos.resp_rules import (
    Cut,
    CutRequest,
    Delay,
    DelayRequest,
    Drop,
    DropRequest,
    Duplicate,
    Refuse,
    Repeat,
    Rule,
    Swap,
    gremlins,
)
from tests.support.eventually import eventually
from tests.support.valkey import Valkey

SOON_S = 2.0
COUNTING = Library(
    "counting",
    "#!lua name=counting\nlocal function count(keys, args) redis.call('EXPIRE', keys[1], 60) "
    "return redis.call('INCR', keys[1]) end\nredis.register_function('count', count)\n",
    "",
)  # its name has no hash: `count`
COUNT = COUNTING.function("count")._replace(name="count")


@pytest.fixture
def own():
    with Valkey() as server:
        yield server


@asynccontextmanager
async def between(server: Valkey, *rules: Rule, seed: int = 0):
    """A proxy, and the product's connection through it."""
    async with (
        RespProxy(server.url, *rules, seed=seed) as proxy,
        Commands.open(proxy.url, name="test") as commands,
    ):
        await asyncio.wait_for(commands.wait_up(), SOON_S)
        await commands.load(COUNT)
        yield proxy, commands


async def count(commands: Commands, key: str = "key") -> int:
    return int(await asyncio.wait_for(commands.call(COUNT, [key], []), SOON_S))


def counted(server: Valkey, key: str = "key") -> int:
    """What the server says, asked past the proxy."""
    with server.client() as client:
        return int(client.get(key) or 0)


# -- where messages end -----------------------------------------------------------------------

MESSAGES = [
    b"+OK\r\n", b"-ERR no\r\n", b":-7\r\n", b"$-1\r\n", b"$0\r\n\r\n", b"$4\r\n\r\n$1\r\n",
    b"*0\r\n", b"*-1\r\n", b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n",
    b"(123456789012345678901234567890\r\n", b"!5\r\nERR x\r\n", b"=7\r\ntxt:abc\r\n",
    b"%1\r\n$1\r\nk\r\n*2\r\n:1\r\n:2\r\n", b"~1\r\n+x\r\n", b">2\r\n+smessage\r\n$-1\r\n",
    b"|1\r\n+ttl\r\n:5\r\n*1\r\n:9\r\n",
]  # fmt: skip


@given(
    messages=st.lists(st.sampled_from(MESSAGES), max_size=12),
    cuts=st.lists(st.integers(0, 400), max_size=20),
)
def test_messages_are_found_however_the_stream_is_cut(messages, cuts):
    stream, splitter, found = b"".join(messages), Splitter(), []
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in pairwise(edges):
        found += splitter.feed(stream[start:end])
    assert found == messages
    assert splitter.rest() == b""


def test_what_no_server_says_is_refused():
    for stream in (b"hello\r\n", b"*x\r\n", b"$1a\r\n", b"*1\r\nPING\r\n"):
        with pytest.raises(NotResp):
            Splitter().feed(stream)
    assert Splitter(inline=True).feed(b"PING\r\n*1\r\n$4\r\nPING\r\n") == [
        b"PING\r\n", b"*1\r\n$4\r\nPING\r\n",
    ]  # fmt: skip


def test_the_words_of_a_command_and_of_a_push_are_told():
    assert words(b"*2\r\n$3\r\nGET\r\n$5\r\na\r\nbc\r\n") == [b"GET", b"a\r\nbc"]
    assert words(b">3\r\n+ssubscribe\r\n$1\r\nc\r\n:1\r\n") == [b"ssubscribe", b"c", b"1"]
    assert words(b"*3\r\n$1\r\na\r\n$-1\r\n*1\r\n:1\r\n") == [b"a", b""]
    assert words(b"PING  now\r\n") == [b"PING", b"now"]


def test_a_rule_that_can_mean_nothing_is_refused():
    for make in (
        lambda: Rule(Repeat(), push=True),
        lambda: Rule(Swap()),
        lambda: Rule(Cut(), first=0),
        lambda: Rule(Cut(), chance=1.5),
    ):
        with pytest.raises(ValueError):
            make()
    with pytest.raises(ValueError, match="unix:// or redis://"):
        RespProxy("http://localhost")


# -- replies and requests ---------------------------------------------------------------------


async def test_without_rules_everything_passes_as_it_is(own):
    async with between(own) as (proxy, commands):
        futures = [commands.send("ECHO", b"%d\r\n" % i * 300) for i in range(2000)]
        assert await asyncio.gather(*futures) == [b"%d\r\n" % i * 300 for i in range(2000)]
        assert await commands.send("RPUSH", "list", "a", b"\xff\x00") == 2
        assert await commands.send("LRANGE", "list", 0, -1) == [b"a", b"\xff\x00"]
        assert await commands.send("GET", "nothing") is None
        assert proxy.counts["requests"] == proxy.counts["replies"] > 2000
        assert not proxy.journal


@pytest.mark.parametrize("fault", [Cut(), Cut(reset=True), Cut(sent=2), Cut(sent=3, reset=True)])
async def test_a_cut_loses_the_reply_to_what_was_done(own, fault):
    async with between(own, Rule(fault, "FCALL count", first=3)) as (proxy, commands):
        assert [await count(commands), await count(commands)] == [1, 2]
        with pytest.raises(StoreUnavailable):
            await count(commands)
        await commands.wait_up()
        assert await count(commands) == 4
        assert proxy.counts["Cut"] == 1
        assert [deed.words for deed in proxy.journal] == ["FCALL count"]


async def test_a_cut_request_was_never_done(own):
    async with between(own, Rule(CutRequest(), "fcall count", first=2)) as (_, commands):
        assert await count(commands) == 1
        with pytest.raises(StoreUnavailable):
            await count(commands)
        await commands.wait_up()
        assert await count(commands) == 2


@pytest.mark.parametrize("fault, done", [(Drop(), 2), (DropRequest(), 1)])
async def test_what_is_dropped_lets_the_client_wait_until_it_gives_up(
    own, fault, done, monkeypatch
):
    monkeypatch.setattr(connection, "REPLY_S", 0.2)
    async with between(own, Rule(fault, "FCALL count", first=2)) as (proxy, commands):
        assert await count(commands) == 1
        late = commands.send("FCALL", "count", 1, "key")
        behind = commands.send("ECHO", "mine")
        for future in (late, behind):
            with pytest.raises(StoreUnavailable):
                await asyncio.wait_for(future, SOON_S)
        assert counted(own) == done
        await commands.wait_up()
        assert await commands.send("ECHO", "mine") == b"mine"
        assert proxy.counts["connections"] == 2


@pytest.mark.parametrize("fault", [Delay(0.2), DelayRequest(0.2)])
async def test_a_delay_holds_up_what_is_behind_it_too(own, fault):
    async with between(own, Rule(fault, "FCALL count")) as (_, commands):
        begun = time.monotonic()
        slow, behind = commands.send("FCALL", "count", 1, "key"), commands.send("ECHO", 1)
        assert await behind == b"1"
        assert slow.done() and time.monotonic() - begun >= 0.2
        begun = time.monotonic()
        await count(commands)
        assert time.monotonic() - begun < 0.2


async def test_a_repeated_command_is_done_twice_and_answered_once(own):
    async with between(own, Rule(Repeat(), "FCALL count")) as (_, commands):
        futures = [commands.send("FCALL", "count", 1, "key"), commands.send("ECHO", "next")]
        assert await asyncio.gather(*futures) == [2, b"next"]


async def test_a_refusal_comes_in_its_place_in_the_row(own):
    async with between(own, Rule(Refuse(), "FCALL count")) as (_, commands):
        before, refused, after = (
            commands.send("ECHO", 1), commands.send("FCALL", "count", 1, "key"),
            commands.send("ECHO", 2),
        )  # fmt: skip
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            await refused
        assert (await before, await after) == (b"1", b"2")
        assert counted(own) == 0


async def test_a_reply_can_be_sent_twice(own):
    async with RespProxy(own.url, Rule(Duplicate(), "ECHO")) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"ECHO once\r\n")
        assert await reader.readexactly(20) == b"$4\r\nonce\r\n$4\r\nonce\r\n"
        writer.close()


async def test_a_rule_for_one_argument_leaves_the_others_alone(own):
    rule = Rule(Cut(), "FCALL count", having=b"key-2", times=None)
    async with between(own, rule) as (_, commands):
        assert await count(commands, "key-1") == 1
        with pytest.raises(StoreUnavailable):
            await count(commands, "key-2")
        assert (rule.met, rule.done) == (1, 1)


async def test_what_is_no_resp_ends_its_connection_alone(own):
    async with between(own) as (proxy, commands):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"*1\r\nnonsense\r\n")
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        assert proxy.counts["not RESP"] == 1
        assert await count(commands) == 1


# -- pub/sub ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault, heard",
    [
        (Drop(), [b"0", b"2", b"3"]),
        (Duplicate(), [b"0", b"1", b"1", b"2", b"3"]),
        (Swap(), [b"0", b"2", b"1", b"3"]),
        (Delay(0.05), [b"0", b"1", b"2", b"3"]),
    ],
)
async def test_hints_can_be_lost_doubled_and_swapped(own, fault, heard):
    rule = Rule(fault, "smessage channel", push=True, first=2)
    async with RespProxy(own.url, rule) as proxy, following(proxy) as (_, got):
        async with Commands.open(own.url, name="speaker") as speaker:
            await speaker.wait_up()
            for number in range(4):
                await speaker.send("SPUBLISH", "channel", number)
        await eventually(lambda: got == heard)
        assert proxy.counts["pushes"] == 5  # the confirmation, too


@asynccontextmanager
async def following(proxy: RespProxy):
    """The product's subscriber on `channel`, and what it heard there."""
    got: list[bytes] = []
    missed = asyncio.Event()
    async with Subscriber.open(proxy.url, name="test", missed=missed.set) as subscriber:
        await asyncio.wait_for(missed.wait(), SOON_S)
        await subscriber.follow("channel", got.append)
        yield subscriber, got


async def test_a_connection_that_follows_may_be_cut_by_a_hint_and_comes_back(own):
    cut = Rule(Cut(), "smessage", push=True)
    async with RespProxy(own.url, cut) as proxy, following(proxy) as (subscriber, got):
        with own.client() as client:
            client.spublish("channel", "lost")
            await eventually(lambda: proxy.counts["connections"] == 2 and subscriber.up)
            await eventually(lambda: client.spublish("channel", "heard") == 1)
        await eventually(lambda: got == [b"heard"])


async def test_confirmations_pushes_and_replies_are_told_apart_in_both_versions(own):
    for protocol in (2, 3):
        lost = Rule(Drop(), "*message", push=True, times=None)
        async with RespProxy(own.url, lost) as proxy:
            client = redis.asyncio.Redis.from_url(proxy.url, protocol=protocol)
            pubsub = client.pubsub()
            await pubsub.subscribe("one", "two")
            await pubsub.ping("between")
            await client.publish("one", "lost")
            await pubsub.unsubscribe()
            got = []
            while len(got) < 5:
                message = await pubsub.get_message(timeout=SOON_S)
                assert message is not None, got
                got.append(message["type"])
            assert got == ["subscribe", "subscribe", "pong", "unsubscribe", "unsubscribe"]
            await pubsub.aclose()
            assert await client.echo("a reply") == b"a reply"
            await client.aclose()
            assert proxy.counts["Drop"] == 1


# -- the weather ------------------------------------------------------------------------------


async def test_while_it_holds_nothing_passes_and_afterwards_nothing_is_lost(own):
    async with between(own) as (proxy, commands):
        async with proxy.held():
            futures = [commands.send("FCALL", "count", 1, "key") for _ in range(5)]
            await asyncio.wait(futures, timeout=0.1)
            assert not any(future.done() for future in futures)
            assert counted(own) == 0
        assert await asyncio.gather(*futures) == [1, 2, 3, 4, 5]
        assert commands.reconnects == 0
        begun = time.monotonic()
        partition = asyncio.create_task(proxy.partition(0.15))
        await asyncio.sleep(0)
        assert await count(commands) == 6
        assert time.monotonic() - begun >= 0.15
        await partition


async def test_a_half_open_connection_is_given_up_and_new_ones_are_silent_until_it_heals(
    own, monkeypatch
):
    monkeypatch.setattr(connection, "REPLY_S", 0.2)
    monkeypatch.setattr(connection, "CONNECT_S", 0.1)
    async with between(own) as (proxy, commands):
        proxy.half_open()
        with pytest.raises(StoreUnavailable):
            await count(commands)
        assert counted(own) == 0
        await eventually(lambda: proxy.counts["connections"] > 2)
        assert not commands.up
        proxy.heal()
        await asyncio.wait_for(commands.wait_up(), SOON_S)
        assert await count(commands) == 1


async def test_while_it_refuses_nobody_is_there(own):
    async with between(own) as (proxy, commands):
        await proxy.refuse()
        with pytest.raises(StoreUnavailable):
            await count(commands)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        await proxy.refuse()  # twice is once
        await proxy.accept()
        await asyncio.wait_for(commands.wait_up(), SOON_S)
        assert await count(commands) == 1


async def test_another_server_takes_over_the_address(own):
    async with between(own) as (proxy, commands):
        first_run = commands.run_id
        await count(commands)
        with Valkey() as other:
            proxy.switch(other.url)
            with pytest.raises(StoreUnavailable):
                await count(commands)
            await asyncio.wait_for(commands.wait_up(), SOON_S)
            assert commands.run_id != first_run
            assert await count(commands) == 1
            assert (counted(own), counted(other)) == (1, 1)


async def test_a_server_that_is_away_looks_away_through_the_proxy(own):
    async with between(own) as (proxy, commands):
        own.kill()
        with pytest.raises(StoreUnavailable):
            await count(commands)
        own.start()
        await asyncio.wait_for(commands.wait_up(), SOON_S)
        assert await count(commands) == 1
        proxy.cut_all()
        with pytest.raises(StoreUnavailable):
            await count(commands)


async def test_a_far_server_answers_late_and_a_narrow_line_is_slow(own):
    async with between(own) as (proxy, commands):
        proxy.latency_s = 0.1
        begun = time.monotonic()
        await asyncio.gather(*(count(commands) for _ in range(20)))
        assert 0.1 <= time.monotonic() - begun < 1, "far, and yet all of them are under way at once"
        proxy.latency_s, proxy.bytes_per_s = 0.0, 10_000
        begun = time.monotonic()
        assert await commands.send("ECHO", b"x" * 1000) == b"x" * 1000
        assert time.monotonic() - begun >= 0.19, "a tenth of a second each way"


async def test_a_replica_follows_through_the_proxy_and_falls_behind_while_it_holds(own):
    async with RespProxy(own.url) as proxy:
        with Valkey() as replica, own.client() as client, replica.client() as second:
            client.config_set("repl-diskless-sync-delay", 0)
            second.replicaof("127.0.0.1", str(proxy.port))
            client.set("key", 1, ex=60)
            await eventually(lambda: counted(replica) == 1)
            async with proxy.held():
                client.set("key", 2, ex=60)
                await asyncio.sleep(0.1)
                assert counted(replica) == 1, "a failover now would lose the tail"
            await eventually(lambda: counted(replica) == 2)


# -- chances ----------------------------------------------------------------------------------


async def _deeds(server: Valkey, seed: int) -> list[tuple[str, str]]:
    rules = [
        Rule(Cut(), "ECHO", times=None, chance=0.2),
        Rule(Repeat(), "ECHO", times=None, chance=0.2),
    ]
    async with RespProxy(server.url, *rules, seed=seed) as proxy:
        for number in range(60):
            client = redis.asyncio.Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0))
            with suppress(Broken):
                await client.echo(number)
            await client.aclose()
        return [(deed.fault, deed.words) for deed in proxy.journal]


async def test_one_seed_gives_one_course_of_events(own):
    first, again, other = [await _deeds(own, seed) for seed in (1, 1, 2)]
    assert first == again
    assert first != other
    assert {fault for fault, _ in first} == {"Cut", "Repeat"}


async def test_among_gremlins_every_command_gets_its_own_reply_or_none(own, monkeypatch):
    """And the gremlins do come: each kind at least once in so many commands."""
    monkeypatch.setattr(connection, "REPLY_S", 0.1)
    monkeypatch.setattr(connection, "PAUSES_S", (0.001,))
    async with between(own, *gremlins(0.3, "ECHO"), seed=3) as (proxy, commands):
        got = lost = 0
        for number in range(400):
            try:
                assert (
                    await asyncio.wait_for(commands.send("ECHO", number), SOON_S) == b"%d" % number
                )
                got += 1
            except StoreUnavailable:
                lost += 1
                await asyncio.wait_for(commands.wait_up(), SOON_S)
        assert got > 250 and lost > 20
        faults = {type(rule.fault).__name__ for rule in proxy.rules if not rule.push}
        assert faults <= set(proxy.counts)
