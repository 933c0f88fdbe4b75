"""One subscriber connection per worker, for the conversations that somebody here follows.

A published message is only a hint that the log grew: it may be lost, late or repeated. So nothing
here tries to be reliable. After every new connection ``missed`` is called, and whoever follows
conversations looks into their logs.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from redis.asyncio.connection import Connection
from redis.exceptions import RedisError

from service.core.errors import StoreUnavailable
from service.store.connection import PAUSES_S, make_connection

SUBSCRIBED_S = 5.0  # a server that confirms no subscription for so long is away


class Subscriber:
    """Follows shard channels. Open it with ``async with Subscriber.open(...)``."""

    def __init__(self, url: str, *, name: str, missed: Callable[[], None]) -> None:
        self._url = url
        self._name = name
        self._missed = missed
        self._followed: dict[str, Callable[[bytes], None]] = {}
        self._pending: dict[str, asyncio.Future[None]] = {}
        self._connection: Connection | None = None
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
            await self._send("SSUBSCRIBE", channel)
        try:
            async with asyncio.timeout(SUBSCRIBED_S):
                await asyncio.shield(confirmed)
        except TimeoutError as error:
            raise StoreUnavailable("Redis does not confirm a subscription") from error

    async def leave(self, channel: str) -> None:
        """Follow ``channel`` no more."""
        self._followed.pop(channel, None)
        self._pending.pop(channel, None)
        if self._connection is not None:
            with suppress(StoreUnavailable):
                await self._send("SUNSUBSCRIBE", channel)

    async def _send(self, *command: str) -> None:
        connection = self._connection
        if connection is None:
            raise StoreUnavailable("not connected to Redis")
        try:
            await connection.send_command(*command, check_health=False)
        except (RedisError, OSError) as error:
            raise StoreUnavailable(str(error)) from error

    async def _stay_connected(self) -> None:
        attempt = 0
        while True:
            connection = make_connection(self._url, name=self._name)
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                self._connection = connection
                attempt = 0
                for channel in list(self._followed):
                    self._pending[channel] = self._loop.create_future()
                    await connection.send_command("SSUBSCRIBE", channel, check_health=False)
                self._missed()
                await self._read(connection)
            except (RedisError, OSError, TimeoutError):
                pass
            finally:
                self._connection = None
                for future in self._pending.values():
                    if not future.done():
                        future.set_exception(StoreUnavailable("the connection to Redis broke"))
                        future.exception()
                self._pending.clear()
                with suppress(RedisError, OSError):
                    await connection.disconnect(nowait=True)
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1

    async def _read(self, connection: Connection) -> None:
        while True:
            kind, channel, rest = await connection.read_response(
                disable_decoding=True, timeout=math.inf
            )
            name = channel.decode() if channel is not None else ""
            if kind == b"smessage":
                receive = self._followed.get(name)
                if receive is not None:
                    receive(rest)
            elif kind == b"ssubscribe":
                confirmed = self._pending.get(name)
                if confirmed is not None and not confirmed.done():
                    confirmed.set_result(None)
