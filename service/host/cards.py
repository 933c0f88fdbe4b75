"""Cards: how living workers are listed in Redis, for `parley workers`.

The supervisor writes them, as it alone knows at once that a worker is dead. A card lives for three
seconds and is renewed each second, so that a host that is cut off drops out by itself.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec

from service.core.errors import SettingError, StoreError
from service.host.addresses import shown
from service.host.process import WorkerProcess
from service.store import keys
from service.store.connection import Commands

RENEW_S = 1.0
SCAN_COUNT = 10_000  # about 2 ms of the server's time a call
MEET_S = 2.5  # a Redis that is there answers within milliseconds


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
    """The cards of every living worker, by host and name. Raises SettingError without Redis."""
    try:
        async with Commands.open(url, name="parley-workers") as commands:
            async with asyncio.timeout(MEET_S):
                await commands.wait_up()
            found = [card async for card in _cards(commands)]
    except TimeoutError as error:
        raise SettingError(f"Redis at {shown(url)} does not answer") from error
    except StoreError as error:
        raise SettingError(f"Redis at {shown(url)}: {error}") from error
    return sorted(found, key=lambda card: (card.host, card.name, card.pid))


async def _cards(commands: Commands) -> AsyncIterator[Card]:
    place: bytes | str = "0"
    while True:
        place, names = await commands.send(
            "SCAN", place, "MATCH", keys.WORKER_CARDS, "COUNT", SCAN_COUNT
        )
        # A card may end, and SCAN may name a key twice: a worker has one session, and is one card.
        for text in await asyncio.gather(*(commands.send("GET", name) for name in set(names))):
            if text is not None:
                yield msgspec.json.decode(text, type=Card)
        if place in (b"0", "0"):
            return
