"""One command connection per worker, pipelined by itself.

Every coroutine of the worker sends its commands here. ``send`` packs a command and returns a
Future; whatever gathers in one turn of the event loop is written in one piece, and the replies are
handed out in order (store/replies.py). Nobody waits for somebody else's reply, and no caller owns
I/O: a cancelled caller leaves a cancelled Future behind, whose reply is read and dropped. (A client
library that lets the caller read the socket loses the connection, or worse, the order of replies,
when the caller is cancelled.)

A broken connection fails what was in flight with StoreUnavailable: whether such a command was
executed is not known. Whoever sends again must send something that may be executed twice; the
functions under `lua/` are written so. While the server is away ``send`` fails at once, and the
connection is tried again with growing pauses.

Addresses, TLS and AUTH are redis-py's work; packing and parsing are hiredis's.
"""

import asyncio
import math
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from redis.asyncio.connection import Connection, parse_url
from redis.exceptions import RedisError, ResponseError

from service.core.errors import StoreUnavailable, StoreUnsuitable
from service.store.functions import Function
from service.store.replies import Argument as Argument
from service.store.replies import Replies, pack

CONNECT_S = 2.0  # a server on the same network answers within milliseconds
REPLY_S = 5.0  # no command of ours takes longer; a server silent for so long is away
PAUSES_S = (0.05, 0.1, 0.2, 0.3)  # between attempts to connect; a new epoch waits for 1 s
OLDEST = {"redis": (7, 2), "valkey": (8, 0)}


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


log = structlog.get_logger("parley.redis")


class Commands:
    """A pipelined connection. Open it with ``async with Commands.open(url, name=...)``."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._in_flight: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._wire: Replies | None = None
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
        if self._wire is None:
            future.set_exception(StoreUnavailable("not connected to Redis"))
            future.exception()  # who sends several may never look at all of them
            return future
        self._in_flight.append((future, self._loop.time()))
        self._wire.write(pack(args))
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
                self._wire = Replies.over(connection, self._answer)
                self._up.set()
                for tell in self.on_up:
                    tell()
                await until_first(self._wire.serve(), self._watch())
            except StoreUnsuitable as error:
                self._unsuitable = error
            except (RedisError, OSError, TimeoutError, StoreUnavailable):
                pass
            except Exception as error:  # uvloop's RuntimeError for a transport that has just closed
                log.warning("redis connection", name=self._name, detail=repr(error)[:200])
            finally:
                self._up.clear()
                self.run_id = ""
                if self._wire is not None:
                    self._wire.close()
                    self._wire = None
                self._fail(StoreUnavailable("the connection to Redis broke"))
                with suppress(RedisError, OSError):
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1
            self.reconnects += 1

    def _answer(self, reply: Any) -> None:
        future, _ = self._in_flight.popleft()
        if future.done():
            return
        if isinstance(reply, ResponseError):
            future.set_exception(_translated(reply))
            if str(reply).startswith("READONLY") and self._wire is not None:
                self._wire.lose("the server became a replica")  # its name may lead elsewhere now
        else:
            future.set_result(reply)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(REPLY_S / 5)
            if self._in_flight and self._loop.time() - self._in_flight[0][1] > REPLY_S:
                raise StoreUnavailable(f"no reply from Redis in {REPLY_S:g} s")

    def _fail(self, error: StoreUnavailable) -> None:
        futures = [future for future, _ in self._in_flight]
        self._in_flight.clear()
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


# Refusals that say nothing about the command: the server cannot do any, for now.
_AWAY = (
    *("OOM", "READONLY", "BUSY", "MISCONF", "NOREPLICAS", "UNKILLABLE", "LOADING"),
    *("CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"),
)


def _translated(error: ResponseError) -> Exception:
    """The server's refusal; StoreUnavailable for one that says nothing about the command."""
    if not str(error).startswith(_AWAY):
        return error
    away = StoreUnavailable(str(error))
    away.__cause__ = error
    return away
