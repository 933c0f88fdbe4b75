"""Cards: how living workers are listed in Redis, for `parley workers`.

The supervisor writes them, as it alone knows at once that a worker is dead. A card lives for three
seconds and is renewed each second, so that a host that is cut off drops out by itself.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service.core.errors import SettingError
from service.host.addresses import shown
from service.host.process import WorkerProcess
from service.store import keys
from service.store.connection import Commands

RENEW_S = 1.0
SCAN_COUNT = 10_000  # about 2 ms of the server's time a call
CONNECT_S = 2.0


class Card(msgspec.Struct, frozen=True):
    """``ready``: it would take a new customer."""

    name: str
    pid: int
    ready: bool
    host: str


class Cards:
    """The cards of one supervisor's workers."""

    def __init__(self, commands: Commands, living: Callable[[], Iterable[WorkerProcess]]) -> None:
        self._commands = commands
        self._living = living
        self._host = socket.gethostname()
        self._changed = asyncio.Event()
        self._written: set[str] = set()

    def changed(self) -> None:
        """A worker came, went or changed: say so now, not within the second."""
        self._changed.set()

    async def run(self) -> None:
        while True:
            await self.write()
            with suppress(TimeoutError):
                async with asyncio.timeout(RENEW_S):
                    await self._changed.wait()
            self._changed.clear()

    async def write(self) -> None:
        """Once. Where Redis is away there is nobody to tell, and the cards end by themselves."""
        living = {worker.session: worker for worker in self._living()}
        sent: list[Awaitable[Any]] = []
        for session, worker in living.items():
            card = Card(worker.name, worker.pid, worker.state == "ready", self._host)
            key = keys.worker_card(session)
            sent.append(
                self._commands.send("SET", key, msgspec.json.encode(card), "EX", keys.WORKER_CARD_S)
            )
        for session in self._written - living.keys():
            sent.append(self._commands.send("DEL", keys.worker_card(session)))
        self._written = set(living)
        await asyncio.gather(*sent, return_exceptions=True)


async def living_workers(url: str) -> list[Card]:
    """The cards of every living worker, by name and host. Raises SettingError without Redis."""
    once = Retry(NoBackoff(), 0)
    found: list[Card] = []
    try:
        async with Redis.from_url(url, socket_connect_timeout=CONNECT_S, retry=once) as client:
            async for key in client.scan_iter(keys.WORKER_CARDS, count=SCAN_COUNT):
                card = await client.get(key)
                if card is not None:
                    found.append(msgspec.json.decode(card, type=Card))
    except (RedisError, OSError) as error:
        raise SettingError(f"Redis at {shown(url)} does not answer: {error}") from error
    return sorted(found, key=lambda card: (card.host, card.name, card.pid))
