"""One subscriber connection per worker, for the conversations that somebody here follows.

A published message is only a hint that the log grew: it may be lost, late or repeated. So nothing
here tries to be reliable. After every new connection, once everything is followed again, ``missed``
is called, and whoever follows conversations looks into their logs. A connection that was cut
without a goodbye looks like one on which nobody speaks: a silent one is asked for a sign of life.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from redis.asyncio.connection import Connection
from redis.exceptions import RedisError

from service.core.errors import StoreUnavailable
from service.store.connection import CONNECT_S, PAUSES_S, make_connection, until_first

SUBSCRIBED_S = 5.0  # a server that confirms no subscription for so long is away
SILENT_S = 5.0  # then it is asked for a sign of life; silent for as long again, it is away

log = structlog.get_logger("parley.subscriber")


class Subscriber:
    """Follows shard channels. Open it with ``async with Subscriber.open(...)``."""

    def __init__(self, url: str, *, name: str, missed: Callable[[], None]) -> None:
        self._url = url
        self._name = name
        self._missed = missed
        self._followed: dict[str, Callable[[bytes], None]] = {}
        self._pending: dict[str, asyncio.Future[None]] = {}
        self._resuming: set[str] = set()  # followed before, not yet on this connection
        self._heard = 0  # replies on this connection
        self._connection: Connection | None = None
        self._up = asyncio.Event()  # set while there is a connection
        self._loop = asyncio.get_running_loop()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, name: str, missed: Callable[[], None]
    ) -> "AsyncIterator[Subscriber]":
        subscriber = cls(url, name=name, missed=missed)
        task = asyncio.create_task(subscriber._stay_connected(), name=f"redis {name}")
        try:
            yield subscriber
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @property
    def up(self) -> bool:
        """Whether conversations can be followed now."""
        return self._up.is_set()

    async def wait_up(self) -> None:
        """Until conversations can be followed."""
        await self._up.wait()

    async def follow(self, channel: str, receive: Callable[[bytes], None]) -> None:
        """Call ``receive`` with each message on ``channel``; returns once that is certain.

        Raises StoreUnavailable where the server does not confirm.
        """
        self._followed[channel] = receive
        if self._connection is None:
            raise StoreUnavailable("not connected to Redis")
        confirmed = self._pending.get(channel)
        if confirmed is None:
            confirmed = self._pending[channel] = self._loop.create_future()
            try:
                await self._send("SSUBSCRIBE", channel)
            except StoreUnavailable:
                self._pending.pop(channel, None)
                raise
        try:
            async with asyncio.timeout(SUBSCRIBED_S):
                await asyncio.shield(confirmed)
        except TimeoutError as error:
            raise StoreUnavailable("Redis does not confirm a subscription") from error

    async def leave(self, channel: str) -> None:
        """Follow ``channel`` no more."""
        self._followed.pop(channel, None)
        self._pending.pop(channel, None)
        self._resumed(channel)
        if self._connection is not None:
            with suppress(StoreUnavailable):
                await self._send("SUNSUBSCRIBE", channel)

    async def _send(self, *command: str) -> None:
        connection = self._connection
        if connection is None:
            raise StoreUnavailable("not connected to Redis")
        try:
            await connection.send_command(*command, check_health=False)
        except (RedisError, OSError, RuntimeError) as error:  # the last: uvloop's, just closed
            raise StoreUnavailable(str(error)) from error

    async def _stay_connected(self) -> None:
        attempt = 0
        while True:
            connection = make_connection(self._url, name=self._name)
            try:
                async with asyncio.timeout(CONNECT_S):  # the handshake has no timeout of its own
                    await connection.connect()  # type: ignore[no-untyped-call]
                self._connection = connection
                self._up.set()
                attempt = 0
                await self._follow_again(connection)
                await until_first(self._read(connection), self._watch(connection))
            except (RedisError, OSError, TimeoutError, StoreUnavailable):
                pass
            except Exception as error:  # uvloop's RuntimeError for a transport that has just closed
                log.warning("redis subscriber", name=self._name, detail=repr(error)[:200])
            finally:
                self._connection = None
                self._up.clear()
                self._resuming.clear()
                for future in self._pending.values():
                    if not future.done():
                        future.set_exception(StoreUnavailable("the connection to Redis broke"))
                        future.exception()
                self._pending.clear()
                with suppress(RedisError, OSError):
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1

    async def _follow_again(self, connection: Connection) -> None:
        self._resuming = set(self._followed)
        for channel in list(self._followed):
            if channel in self._followed and channel not in self._pending:
                self._pending[channel] = self._loop.create_future()
                await connection.send_command("SSUBSCRIBE", channel, check_health=False)
        if not self._followed:
            self._missed()

    def _resumed(self, channel: str) -> None:
        if channel in self._resuming:
            self._resuming.discard(channel)
            if not self._resuming:
                self._missed()

    async def _watch(self, connection: Connection) -> None:
        while True:
            heard = self._heard
            await asyncio.sleep(SILENT_S)
            if self._heard == heard:
                await connection.send_command("PING", check_health=False)
                await asyncio.sleep(SILENT_S)
                if self._heard == heard:
                    raise StoreUnavailable("Redis does not answer")

    async def _read(self, connection: Connection) -> None:
        while True:
            reply = await connection.read_response(disable_decoding=True, timeout=math.inf)
            self._heard += 1
            if not isinstance(reply, list) or len(reply) != 3:
                continue  # the sign of life
            kind, channel, rest = reply
            name = channel.decode() if channel is not None else ""
            if kind == b"smessage":
                self._hand_on(name, rest)
            elif kind == b"ssubscribe":
                confirmed = self._pending.get(name)
                if confirmed is not None and not confirmed.done():
                    confirmed.set_result(None)
                self._resumed(name)

    def _hand_on(self, channel: str, message: bytes) -> None:
        receive = self._followed.get(channel)
        if receive is None:
            return
        try:
            receive(message)
        except Exception:  # one receiver's mistake must not deafen the worker
            log.exception("hint", channel=channel)
