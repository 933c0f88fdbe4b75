"""Workers for tests of flows: everything is real but what stands behind the ports."""

import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any

from service.core.commands import CustomerCommand, SendMessage
from service.core.model import Passage, Site
from service.flows.asking import Asking
from service.flows.context import Context
from service.flows.customer import Customer, CustomerCommands, Limits
from service.flows.feed import Feed, Feeds
from service.flows.turn import Turns
from service.store.channels import Channels
from tests.support.eventually import eventually
from tests.support.log_rig import AnyLog, begin, decoded
from tests.support.twins.channels import MemoryChannels
from tests.support.twins.log import MemoryLog
from tests.support.twins.memory import Memory
from tests.support.twins.model import Happening, ScriptedModel
from tests.support.twins.permits import MemoryPermits

AnyChannels = Channels | MemoryChannels
C = "conversation-1"
SITE = Site(
    key="pk_test",
    name="Kestrel",
    origins=("https://shop.example",),
    languages=("en",),
    contact="help@kestrel.example",
    facts=(Passage({"en": "Shipping"}, {"en": "Parcels to Norway take three days."}),),
)


class Client:
    """A socket's place in a feed: it reads through a cursor, as sockets do, and attaches again."""

    def __init__(self, worker: "FlowWorker", feed: Feed) -> None:
        self.worker = worker
        self.feed = feed
        self.frames: list[bytes] = []
        self.snapshots = 0
        self.cursor = -1
        self._losses = -1

    async def attach(self) -> None:
        """As a client without a position does: a snapshot, then what follows."""
        attached = await self.worker.log.attach(self.feed.conversation, None)
        self.feed.begin(attached.epoch, attached.top, open=attached.turn is not None)
        self.cursor, self._losses = attached.top, self.feed.losses
        self.snapshots += 1
        self.frames = []

    async def read(self) -> list[bytes]:
        """Everything that came, by now, since the newest snapshot."""
        if self._losses != self.feed.losses:
            await self.attach()
        fresh = self.feed.after(self.cursor)
        assert fresh is not None, "it was too slow"
        self.frames += fresh
        self.cursor += len(fresh)
        return self.frames


class FlowWorker:
    """One worker: its view of the log, its channels, and all its flows."""

    def __init__(
        self, log: AnyLog, channels: AnyChannels, model: ScriptedModel, *, tier: int = 50
    ) -> None:
        self.log = log
        self.channels = channels
        self.feeds = Feeds(self.log, self.channels)
        self.model = model
        self.permits = MemoryPermits(tier)
        self.context = Context(self.log, context_tokens=12_000, answer_tokens=800)
        self.asking = Asking(
            permits=self.permits, model=model, context=self.context, queue_wait_s=120.0,
            user_id=lambda conversation: f"user-{conversation}",
        )  # fmt: skip
        self.asking._random = _Least()  # no delays between tries
        self.turns = Turns(log=self.log, feeds=self.feeds, asking=self.asking, context=self.context)
        self.ended: list[str] = []
        self.turns.ended = self.ended.append
        self.commands = CustomerCommands(self.log, self.feeds, self.turns, Limits(2000, 1000))

    @asynccontextmanager
    async def client(self, conversation: str = C) -> AsyncIterator[Client]:
        async with self.feeds.use(conversation) as feed:
            client = Client(self, feed)
            await client.attach()
            yield client

    async def say(
        self, client: Client, text: str, *, id: str = "", site: Site = SITE
    ) -> list[dict[str, Any]]:
        """Send a message as a socket does; the frames for that socket alone."""
        id = id or re.sub(r"[^A-Za-z0-9_-]", "-", f"id-{text[:50]:_<8}")
        return await self.do(client, SendMessage(id, text), site)

    async def do(
        self, client: Client, command: CustomerCommand, site: Site = SITE
    ) -> list[dict[str, Any]]:
        customer = self.customer(client.feed.conversation, site)
        return decoded(await self.commands.do(customer, client.feed, command))

    @asynccontextmanager
    async def occupied(self) -> AsyncIterator[None]:
        """Somebody else holds one of the permits."""
        within = time.monotonic() + 60
        async with self.permits.acquire(flow="somebody", priority="live", deadline=within):
            yield

    async def quiet(self) -> None:
        """Until no turn runs here any more."""
        await eventually(lambda: len(self.turns) == 0, every=0.001)

    def customer(self, conversation: str = C, site: Site = SITE) -> Customer:
        return Customer(conversation, site, "192.0.2.1", "en")


class _Least(Random):
    """Draws the least there is."""

    def random(self) -> float:
        return 0.0


class Flows:
    """A memory and the workers on it."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.memory = Memory()
        self.air = self.memory.air
        self._stack = stack

    async def worker(
        self, *scripts: Sequence[Happening], session: str = "a", tier: int = 50
    ) -> FlowWorker:
        worker = FlowWorker(
            MemoryLog(self.memory, session=session),
            MemoryChannels(self.air, session=session),
            ScriptedModel(*scripts),
            tier=tier,
        )
        self._stack.push_async_callback(worker.turns.drain, 0)
        await begin(worker.log, C)
        return worker

    async def entries(self, conversation: str = C) -> list[bytes]:
        kept = self.memory.conversations[conversation].entries
        return [kept[offset] for offset in sorted(kept)]

    def messages(self, conversation: str = C) -> list[tuple[str, str]]:
        """Author and text of every finished message."""
        kept = self.memory.conversations[conversation].messages
        return [(kept[m]["author"], kept[m]["text"]) for m in sorted(kept)]
