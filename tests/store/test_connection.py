"""The command connection: order, cancellation, loss and return, and servers that cannot do."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import hiredis
import pytest
from redis.exceptions import ResponseError

from service.core.errors import StoreUnavailable, StoreUnsuitable
from service.store import connection
from service.store.connection import Commands
from service.store.functions import build
from tests.support.eventually import eventually
from tests.support.valkey import Valkey

SOON_S = 5.0
LIBRARY = build("log", ["expired"])


@pytest.fixture
async def commands(redis_url) -> AsyncIterator[Commands]:
    async with connected(redis_url) as there:
        yield there


@pytest.fixture
def own() -> Iterator[Valkey]:
    """A server of this test's own, to hurt."""
    with Valkey() as server:
        yield server


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Commands]:
    async with Commands.open(url, name="test") as commands:
        await commands.wait_up()
        yield commands


# -- order and cancellation -------------------------------------------------------------------


async def test_replies_come_in_the_order_of_the_commands(commands):
    futures = [commands.send("ECHO", i) for i in range(5000)]
    assert await asyncio.gather(*futures) == [b"%d" % i for i in range(5000)]


async def test_replies_are_bytes_numbers_lists_and_none(commands):
    assert await commands.send("RPUSH", "list", "a", b"\xff\x00") == 2
    assert await commands.send("LRANGE", "list", 0, -1) == [b"a", b"\xff\x00"]
    assert await commands.send("GET", "nothing") is None
    await commands.send("DEL", "list")


async def test_many_callers_share_one_connection_and_one_write():
    async with RawRedis() as server, connected(server.url) as commands:
        callers = [asyncio.create_task(_echo(commands, i)) for i in range(100)]
        assert await asyncio.gather(*callers) == [b"%d" % i for i in range(100)]
        assert server.connections == 1
        assert server.pieces[-1] == 100, "100 commands of one turn of the loop went in one piece"


async def _echo(commands: Commands, i: int) -> bytes:
    reply = await commands.send("ECHO", i)
    assert isinstance(reply, bytes)
    return reply


async def test_a_cancelled_caller_leaves_no_reply_behind(commands):
    callers = [asyncio.create_task(_echo(commands, i)) for i in range(50)]
    await asyncio.sleep(0)
    for caller in callers[::2]:
        caller.cancel()
    kept = await asyncio.gather(*callers, return_exceptions=True)
    assert kept[1::2] == [b"%d" % i for i in range(1, 50, 2)]
    assert all(isinstance(reply, asyncio.CancelledError) for reply in kept[::2])
    assert await commands.send("ECHO", "mine") == b"mine"
    assert commands.reconnects == 0


async def test_a_refused_command_fails_alone(commands):
    before, refused, after = (
        commands.send("ECHO", 1), commands.send("NO-SUCH-COMMAND"), commands.send("ECHO", 2),
    )  # fmt: skip
    with pytest.raises(ResponseError):
        await refused
    assert (await before, await after) == (b"1", b"2")
    assert commands.up


# -- loss and return --------------------------------------------------------------------------


async def test_a_lost_connection_fails_what_was_in_flight_and_comes_back(own):
    async with connected(own.url) as commands:
        first_run = commands.run_id
        assert first_run
        own.pause()
        in_flight = [commands.send("ECHO", i) for i in range(10)]
        await asyncio.sleep(0)  # written, and never answered
        own.kill()
        for future in in_flight:
            with pytest.raises(StoreUnavailable):
                await future
        await eventually(lambda: not commands.up)
        assert commands.run_id == ""
        own.start()
        await commands.wait_up()
        assert await commands.send("ECHO", "back") == b"back"
        assert commands.run_id not in ("", first_run)
        assert commands.reconnects > 0


async def test_what_was_in_flight_when_the_connection_broke_is_not_sent_again(own):
    async with connected(own.url) as commands:
        with own.client() as client:
            client.client_kill_filter(skipme=True)
        with pytest.raises(StoreUnavailable):
            while True:
                await commands.send("INCR", "count")
        await commands.wait_up()
        with own.client() as client:
            assert client.get("count") is None


async def test_while_the_server_is_away_a_command_fails_at_once(own):
    async with connected(own.url) as commands:
        own.kill()
        await eventually(lambda: not commands.up)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await commands.send("ECHO", 1)
        assert time.monotonic() - started < 1


async def test_of_commands_that_failed_at_once_not_every_one_need_be_looked_at(caplog):
    async with Commands.open("redis://127.0.0.1:1/0", name="test") as commands:
        first, second = commands.send("PING"), commands.send("PING")
        with pytest.raises(StoreUnavailable):
            await first
        del second
        gc.collect()
    assert not caplog.records, "asyncio complains of errors that nobody saw"


async def test_a_server_that_is_away_at_the_start_is_waited_for(own):
    own.kill()
    async with Commands.open(own.url, name="test") as commands:
        assert not commands.up
        with pytest.raises(StoreUnavailable):
            await commands.send("ECHO", 1)
        own.start()
        await commands.wait_up()
        assert await commands.send("ECHO", 1) == b"1"


async def test_a_server_that_does_not_answer_is_given_up(own, monkeypatch):
    monkeypatch.setattr(connection, "REPLY_S", 0.2)
    async with connected(own.url) as commands:
        own.pause()
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(commands.send("ECHO", 1), SOON_S)
        await eventually(lambda: not commands.up)
        own.resume()
        await commands.wait_up()
        assert await commands.send("ECHO", 2) == b"2"


async def test_a_peer_that_accepts_and_says_nothing_does_not_hold_the_connection_for_ever(
    monkeypatch,
):
    monkeypatch.setattr(connection, "CONNECT_S", 0.1)
    async with RawRedis(silent=2) as server, Commands.open(server.url, name="test") as commands:
        await asyncio.wait_for(commands.wait_up(), SOON_S)
        assert server.connections == 3


async def test_closing_fails_what_is_in_flight(own):
    async with connected(own.url) as commands:
        own.pause()
        future = commands.send("ECHO", 1)
        await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable):
        await future
    with pytest.raises(StoreUnavailable):
        await commands.send("ECHO", 2)
    own.resume()


async def test_a_future_that_nobody_awaits_any_more_makes_no_noise_when_the_server_goes(own):
    async with connected(own.url) as commands:
        own.pause()
        commands.send("ECHO", 1).cancel()
        commands.send("ECHO", 2)
        await asyncio.sleep(0)
        own.kill()
        await eventually(lambda: not commands.up)


# -- servers that cannot do -------------------------------------------------------------------


@pytest.mark.parametrize("version", ["redis_version:7.0.15", "redis_version:6.2.0"])
async def test_a_redis_that_is_too_old_is_unsuitable(version):
    async with RawRedis(info=version) as server, Commands.open(server.url, name="x") as commands:
        with pytest.raises(StoreUnsuitable, match=r"redis 7\.0\.15|redis 6\.2\.0"):
            await asyncio.wait_for(commands.wait_up(), SOON_S)
        assert not commands.up


async def test_a_valkey_is_judged_by_its_own_version_not_by_the_redis_it_plays():
    info = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:7.9.9"
    async with RawRedis(info=info) as server, Commands.open(server.url, name="x") as commands:
        with pytest.raises(StoreUnsuitable, match=r"valkey >= 8\.0"):
            await asyncio.wait_for(commands.wait_up(), SOON_S)


@pytest.mark.parametrize(
    "version", ["redis_version:7.2.0", "redis_version:8.4.1", "redis_version:10.0.0"]
)
async def test_newer_ones_will_do(version):
    async with RawRedis(info=version) as server, Commands.open(server.url, name="x") as commands:
        await asyncio.wait_for(commands.wait_up(), SOON_S)


async def test_a_server_that_evicts_keys_is_unsuitable_until_it_does_no_more(own):
    with own.client() as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        async with Commands.open(own.url, name="test") as commands:
            with pytest.raises(StoreUnsuitable, match="noeviction"):
                await asyncio.wait_for(commands.wait_up(), SOON_S)
            client.config_set("maxmemory-policy", "noeviction")
            await eventually(lambda: commands.up)
            own.kill()
            await eventually(lambda: not commands.up)
            waiting = asyncio.create_task(commands.wait_up())
            await asyncio.wait({waiting}, timeout=0.3)  # it looks ten times a second
            assert not waiting.done(), "it is told off for its past"
            own.start()
            await waiting


async def test_a_policy_without_a_limit_evicts_nothing(own):
    with own.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    async with connected(own.url) as commands:
        assert commands.up


async def test_a_server_that_still_loads_its_data_is_waited_for():
    info = "redis_version:7.2.0\r\nloading:1"
    async with RawRedis(info=info) as server, Commands.open(server.url, name="x") as commands:
        await eventually(lambda: server.connections > 1)
        assert not commands.up
        server.info = "redis_version:7.2.0\r\nloading:0"
        await asyncio.wait_for(commands.wait_up(), SOON_S)


@pytest.mark.parametrize("password, good", [("right", True), ("wrong", False)])
async def test_a_password_in_the_url_is_used(own, password, good):
    with own.client() as client:
        client.config_set("requirepass", "right")
    url = own.url.replace("unix://", f"unix://:{password}@")
    async with Commands.open(url, name="test") as commands:
        if good:
            await asyncio.wait_for(commands.wait_up(), SOON_S)
        else:
            await eventually(lambda: commands.reconnects > 1)
            assert not commands.up


async def test_a_full_server_is_unavailable_not_broken(own):
    function = LIBRARY.function("expired")
    full = build_writer()
    async with connected(own.url) as commands:
        await commands.call(function, ["leases"], [1])
        await commands.load(full)
        with own.client() as client:
            client.config_set("maxmemory", "1")
            with pytest.raises(StoreUnavailable, match="maxmemory"):
                await commands.call(full, ["key"], [])
            with pytest.raises(StoreUnavailable, match="maxmemory"):
                await commands.send("SET", "key", "value")
            client.config_set("maxmemory", "0")
        assert await commands.call(full, ["key"], []) == b"written"
        await commands.send("DEL", "key")


async def test_a_replica_is_unavailable_for_writes(own):
    full = build_writer()
    async with connected(own.url) as commands:
        await commands.load(full)
        with own.client() as client:
            client.replicaof("127.0.0.1", "1")
            with pytest.raises(StoreUnavailable):
                await commands.call(full, ["key"], [])
            with pytest.raises(StoreUnavailable):
                await commands.send("SET", "key", "value")


def build_writer():
    """A function that writes, under the name of one of ours."""
    written = "redis.call('SET', keys[1], 'x', 'EX', 60)"
    text = f"local function expired(keys, args) {written} return 'written' end"
    clock = f"local function now_ms() return 1 end\n{text.replace('expired', 'writing')}"
    library = build("log", ["expired"], instead={"clock": clock})
    source = library.source.replace(
        f"'expired_{library.version}', expired", f"'expired_{library.version}', writing"
    )
    return library._replace(source=source).function("expired")


# -- functions --------------------------------------------------------------------------------


async def test_a_function_that_the_server_does_not_know_is_loaded_and_called(own):
    function = LIBRARY.function("expired")
    async with connected(own.url) as commands:
        [first] = await commands.call(function, ["leases"], [1])
        assert int(first) > 0
        with own.client() as client:
            client.function_flush()
        [again] = await commands.call(function, ["leases"], [1])
        assert int(again) >= int(first)


async def test_many_callers_that_find_a_function_missing_all_get_their_reply(own):
    function = LIBRARY.function("expired")
    async with connected(own.url) as commands, connected(own.url) as others:
        calls = [c.call(function, ["leases"], [1]) for c in [commands, others] * 25]
        assert all(await asyncio.gather(*calls))


async def test_loading_twice_is_no_error(own):
    async with connected(own.url) as commands:
        for _ in range(2):
            await commands.load(LIBRARY.function("expired"))


async def test_a_function_that_fails_says_so_and_is_not_tried_again(own):
    async with connected(own.url) as commands:
        with pytest.raises(ResponseError):
            await commands.call(LIBRARY.function("expired"), ["leases"], ["no number"])


# -- a peer that does what a test wants -------------------------------------------------------


class RawRedis:
    """Speaks just enough of the protocol: INFO, ECHO, and OK to everything else."""

    def __init__(self, *, info: str = "redis_version:7.2.0", silent: int = 0) -> None:
        self.info = info
        self.connections = 0
        self.pieces: list[int] = []  # commands in each piece that came
        self._silent = silent  # connections that get no answer at all
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> "RawRedis":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"redis://{host}:{port}"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        silent = self.connections <= self._silent
        parser = hiredis.Reader()
        try:
            while piece := await reader.read(1 << 20):
                parser.feed(piece)
                commands = list(iter(parser.gets, False))
                self.pieces.append(len(commands))
                if not silent:
                    writer.write(b"".join(map(self._reply, commands)))
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _reply(self, command: list[bytes]) -> bytes:
        match command[0]:
            case b"INFO":
                return self._bulk(f"{self.info}\r\nrun_id:raw\r\n".encode())
            case b"ECHO":
                return self._bulk(command[1])
        return b"+OK\r\n"

    @staticmethod
    def _bulk(value: bytes) -> bytes:
        return b"$%d\r\n%b\r\n" % (len(value), value)
