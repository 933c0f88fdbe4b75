"""One command connection per worker, pipelined by itself.

Every coroutine of the worker sends its commands here. ``send`` packs a command and returns a
Future; a writer task writes whatever has gathered since the last turn of the event loop in one
piece; a reader task hands the replies out in order. Nobody waits for somebody else's reply, and no
caller owns I/O: a cancelled caller leaves a cancelled Future behind, whose reply is read and
dropped. (A client library that lets the caller read the socket loses the connection, or worse, the
order of replies, when the caller is cancelled.)

A broken connection fails what was in flight with StoreUnavailable: whether such a command was
executed is not known. Whoever sends again must send something that may be executed twice; the
functions under `lua/` are written so. While the server is away ``send`` fails at once, and the
connection is tried again with growing pauses.

The protocol's work (addresses, TLS, AUTH, parsing) is redis-py's; the packing is hiredis's.
"""

import asyncio
import math
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import hiredis
from redis.asyncio.connection import Connection, parse_url
from redis.exceptions import (
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from service.core.errors import StoreUnavailable, StoreUnsuitable
from service.store.functions import Function

CONNECT_S = 2.0  # a server on the same network answers within milliseconds
REPLY_S = 5.0  # no command of ours takes longer; a server silent for so long is away
PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0)  # between attempts to connect; the last repeats
OLDEST = {"redis": (7, 2), "valkey": (8, 0)}

Argument = bytes | str | int
_pack = cast(Callable[[tuple[Argument, ...]], bytes], hiredis.pack_command)  # stub too narrow


def make_connection(url: str, *, name: str) -> Connection:
    """An unconnected redis-py connection for ``url``, speaking RESP2, without timeouts on reads."""
    options: dict[str, Any] = dict(parse_url(url))
    kind = options.pop("connection_class", Connection)
    made: Connection = kind(
        **options, protocol=2, socket_timeout=None, socket_connect_timeout=CONNECT_S,
        client_name=name,
    )  # fmt: skip
    return made


async def until_first(*parts: Coroutine[Any, Any, None]) -> None:
    """Run ``parts`` side by side until the first ends; its error, if that is how it ended."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Commands:
    """A pipelined connection. Open it with ``async with Commands.open(url, name=...)``."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._unsent: list[tuple[bytes, asyncio.Future[Any]]] = []
        self._in_flight: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._wake = asyncio.Event()
        self._up = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.run_id = ""  # the server's, of the present connection; "" while it is away
        self.reconnects = 0
        self.on_up: list[Callable[[], None]] = []  # called at each connection, before any command

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, name: str) -> "AsyncIterator[Commands]":
        """Connect in the background and stay connected until the context ends.

        Raises nothing if the server is away: ``up`` tells. A server that can never do (too old,
        or one that evicts keys) raises StoreUnsuitable from ``wait_up``.
        """
        commands = cls(url, name=name)
        task = asyncio.create_task(commands._stay_connected(), name=f"redis {name}")
        try:
            yield commands
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            commands._fail(StoreUnavailable("closed"))

    @property
    def up(self) -> bool:
        return self._up.is_set()

    async def wait_up(self) -> None:
        """Until connected. Raises StoreUnsuitable where waiting is in vain."""
        while not self._up.is_set():
            if self._unsuitable is not None:
                raise self._unsuitable
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._up.wait()

    def send(self, *args: Argument) -> "asyncio.Future[Any]":
        """Queue one command; the Future has its reply, in redis-py's RESP2 types (bytes stay).

        The Future fails with StoreUnavailable (lost, late, or not connected) or with
        redis.exceptions.ResponseError (the server's own refusal).
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        if not self._up.is_set():
            future.set_exception(StoreUnavailable("not connected to Redis"))
            future.exception()  # who sends several may never look at all of them
            return future
        self._unsent.append((_pack(args), future))
        self._wake.set()
        return future

    async def call(self, function: Function, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """FCALL ``function``; where the server does not know it, load its library and repeat."""
        try:
            return await self.send("FCALL", function.name, len(keys), *keys, *args)
        except ResponseError as error:
            if "not found" not in str(error).lower():
                raise
        await self.load(function)
        return await self.send("FCALL", function.name, len(keys), *keys, *args)

    async def load(self, function: Function) -> None:
        """Load the function's library; one that is there already is left as it is."""
        try:
            await self.send("FUNCTION", "LOAD", function.library.source)
        except ResponseError as error:
            if "already exists" not in str(error):
                raise

    # -- the background -----------------------------------------------------------------

    _unsuitable: StoreUnsuitable | None = None

    async def _stay_connected(self) -> None:
        attempt = 0
        while True:
            connection = make_connection(self._url, name=self._name)
            try:
                async with asyncio.timeout(CONNECT_S):  # the handshake has no timeout of its own
                    await connection.connect()  # type: ignore[no-untyped-call]
                    self.run_id = await _check_server(connection)
                self._unsuitable = None
                attempt = 0
                self._up.set()
                for tell in self.on_up:
                    tell()
                await self._serve(connection)
            except StoreUnsuitable as error:
                self._unsuitable = error
            except (RedisError, OSError, TimeoutError, StoreUnavailable):
                pass
            finally:
                self._up.clear()
                self.run_id = ""
                self._fail(StoreUnavailable("the connection to Redis broke"))
                with suppress(RedisError, OSError):
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1
            self.reconnects += 1

    async def _serve(self, connection: Connection) -> None:
        await until_first(self._write(connection), self._read(connection), self._watch())

    async def _write(self, connection: Connection) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._unsent = self._unsent, []
            now = self._loop.time()
            self._in_flight.extend((future, now) for _, future in batch)
            await connection.send_packed_command(
                [b"".join(packed for packed, _ in batch)], check_health=False
            )

    async def _read(self, connection: Connection) -> None:
        while True:
            reply: Any
            try:
                reply = await connection.read_response(disable_decoding=True, timeout=math.inf)
            except ResponseError as error:
                reply = error
            future, _ = self._in_flight.popleft()
            if future.done():
                continue
            if isinstance(reply, ResponseError):
                future.set_exception(_translated(reply))
            else:
                future.set_result(reply)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(REPLY_S / 5)
            if self._in_flight and self._loop.time() - self._in_flight[0][1] > REPLY_S:
                raise StoreUnavailable(f"no reply from Redis in {REPLY_S:g} s")

    def _fail(self, error: StoreUnavailable) -> None:
        futures = [future for future, _ in self._in_flight]
        futures += [future for _, future in self._unsent]
        self._in_flight.clear()
        self._unsent.clear()
        for future in futures:
            if not future.done():
                future.set_exception(StoreUnavailable(str(error)))
                future.exception()  # a caller that was cancelled never looks


async def _check_server(connection: Connection) -> str:
    """The server's run id. Raises StoreUnsuitable for one that would lose or forget keys."""
    await connection.send_command("INFO")
    reply = await connection.read_response(disable_decoding=True, timeout=math.inf)
    fields = dict(re.findall(r"^(\w+):([^\r\n]*)", reply.decode("utf-8", "replace"), re.MULTILINE))
    if fields.get("loading") == "1":
        raise StoreUnavailable("Redis is loading its data")
    kind = "valkey" if "valkey_version" in fields else "redis"
    version = fields.get(f"{kind}_version", "0")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST[kind]:
        wanted = ".".join(map(str, OLDEST[kind]))
        raise StoreUnsuitable(f"{kind} {version} is too old: Parley needs {kind} >= {wanted}")
    policy = fields.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and fields.get("maxmemory", "0") != "0":
        raise StoreUnsuitable(
            f"maxmemory-policy is {policy}: an evicted key is a lost message; set noeviction"
        )
    return str(fields.get("run_id", ""))


# redis-py makes classes of their own of some refusals, and takes the code from the text of those.
_AWAY = (OutOfMemoryError, ReadOnlyError, ClusterDownError, TryAgainError)
_AWAY_CODES = ("OOM", "READONLY", "BUSY", "MISCONF", "NOREPLICAS", "UNKILLABLE")


def _translated(error: ResponseError) -> Exception:
    """The server's refusal; StoreUnavailable for one that says nothing about the command."""
    if not isinstance(error, _AWAY) and not str(error).startswith(_AWAY_CODES):
        return error
    away = StoreUnavailable(str(error))
    away.__cause__ = error
    return away
