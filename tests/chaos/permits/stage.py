"""All that one scenario plays with: Valkey, upstream, workers, supervisor; and what it measures."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from service.store.connection import Commands
from service.store.permit_office import PermitOffice
from service.store.permit_state import PermitsState
from tests.chaos.permits.crew import LOG, Crew, employed
from tests.chaos.permits.orders import Account, Orders
from tests.chaos.permits.servers import Replicated
from tests.chaos.permits.terms import WORKERS, office_of
from tests.chaos.permits.upstream import Upstream
from tests.support.eventually import eventually
from tests.support.valkey import Valkey

FULL_S = 15.0  # from the first request, on a busy machine
FULL = 0.95  # of the tier, with everybody there: then it has begun
DRAINED_S = 4.0  # lingers (1 s), and a heartbeat that looks (1 s), on a busy machine
AWAY_S = 10.0  # until a drained permit's server answers again


@dataclass
class Window:
    """What utilisation is measured over; times of time.monotonic()."""

    begin: float
    end: float = 0.0


@dataclass
class Stage:
    upstream: Upstream
    crew: Crew
    office: PermitOffice
    valkey: Valkey | None  # where it is one server
    replicated: Replicated | None  # where it is two
    linger_s: float
    log: Path
    say: Callable[[str], None]
    window: Window = field(default_factory=lambda: Window(0.0))
    accounts: list[Account] = field(default_factory=list)

    @property
    def tier(self) -> int:
        return self.upstream.tier

    async def begin(self, then_s: float) -> None:
        """Everybody begins to ask. Until the tier is in use by all workers, and so long after."""
        self.crew.go()
        begun = time.monotonic()

        async def check() -> bool:
            if self.upstream.concurrency < FULL * self.tier:
                return False
            sessions = (await self.office.state()).sessions
            part = self.tier // (2 * WORKERS)
            return all(
                name in sessions and sessions[name].held >= part for name in self.crew.living
            )

        await eventually(check, within=FULL_S, every=0.05, what="a full tier")
        self.say(f"full after {time.monotonic() - begun:.1f} s")
        await asyncio.sleep(then_s)

    @asynccontextmanager
    async def measured(self) -> AsyncIterator[None]:
        """The block is the scenario's window."""
        self.window = Window(time.monotonic())
        yield
        self.window.end = time.monotonic()

    async def drain(self) -> None:
        """Everybody stops asking, and what runs ends."""
        self.accounts = await self.crew.drain()

    async def used(self) -> int:
        """Permits that count still, once lingers are over: 0, if none is lost."""
        deadline = time.monotonic() + self.linger_s + DRAINED_S
        while True:
            state = await self.state()
            if state.used == 0 or time.monotonic() > deadline:
                return state.used
            await asyncio.sleep(0.05)

    async def state(self) -> PermitsState:
        async with asyncio.timeout(AWAY_S):
            return await self.office.state()

    def logged(self, characters: int) -> str:
        """The end of what the workers' processes logged."""
        return self.log.read_text("utf-8", "replace")[-characters:]


@asynccontextmanager
async def staged(
    orders: Orders,
    *,
    switches: dict[str, object],
    replicated: bool,
    seed: int,
    say: Callable[[str], None],
) -> AsyncIterator[Stage]:
    """A stage with ``WORKERS`` workers that ask as ``orders`` say; all of it ends with the block.

    ``orders`` lack what only the stage knows: where Redis and the upstream are.
    """
    async with AsyncExitStack() as stack:
        valkey = pair = None
        if replicated:
            pair = await stack.enter_async_context(Replicated.open())
        else:
            valkey = stack.enter_context(Valkey())
        there = pair or valkey
        assert there is not None
        upstream = await stack.enter_async_context(Upstream.open(orders.tier, seed, **switches))
        orders = msgspec.structs.replace(orders, url=there.url, upstream=upstream.url)
        commands = await stack.enter_async_context(Commands.open(orders.url, name="supervisor"))
        office = office_of(commands, orders)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parley-chaos-")))
        crew = await stack.enter_async_context(employed(orders, office, commands, folder))
        for place in range(1, WORKERS + 1):
            await crew.start(place)
        yield Stage(upstream, crew, office, valkey, pair, orders.linger_s, folder / LOG, say)
