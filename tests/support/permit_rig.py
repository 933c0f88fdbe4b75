"""Workers for tests of the permits: they can fall silent as a stopped process does, and return.

`async with Crew(url) as crew:` opens offices and workers on one server; `crew.leap(seconds)` moves
the lease clock, which takes a step for each second because it never leaps by itself.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType

from redis.asyncio import Redis

from service.core.queueing import HeldPermit, QueueClass
from service.store.connection import Argument, Commands
from service.store.functions import Library
from service.store.permit_office import PermitOffice, PermitsState
from service.store.permit_pump import Pump
from service.store.permit_steps import Reply, Timing, library
from service.store.permits import Acquisition, Place, RedisPermits

ACCOUNT, MODEL = "account", "model"
AHEAD = "parley:worker:clock-ahead"  # ms that the test clock is ahead of the server's
# clock.lua for tests: the server's time and what the test adds to it.
CLOCK = f"""
local function now_ms()
  local time = redis.call('TIME')
  local ahead = tonumber(redis.call('GET', '{AHEAD}') or 0)
  return time[1] * 1000 + math.floor(time[2] / 1000) + ahead
end
"""
AT_ONCE = Timing(linger_s=0.0)  # no window at the first boot, nothing lingers
SOON_S = 5.0


class Worker:
    """One session, as a process of its own would have it."""

    def __init__(self, office: PermitOffice, url: str, session: str, tier: int) -> None:
        self.office = office
        self.session = session
        self.pump = Pump(office, session=session, tier=tier)
        self._url = url
        self._awake = asyncio.Event()
        self._awake.set()
        self._step, office.step = office.step, self._step_when_awake  # type: ignore[method-assign]
        self.running = asyncio.create_task(self.pump.run())
        self.listening = asyncio.create_task(self.pump.listen(url))
        self.permits = RedisPermits(self.pump, self.running)

    async def _step_when_awake(self, session: str, words: list[Argument]) -> Reply:
        await self._awake.wait()
        reply = await self._step(session, words)
        await self._awake.wait()
        return reply

    async def silence(self) -> None:
        """Say and hear nothing more, as after SIGSTOP; what is held stays held."""
        self._awake.clear()
        await self.stop_listening()

    async def stop_listening(self) -> None:
        self.listening.cancel()
        await asyncio.wait([self.listening])

    def resume(self) -> None:
        """Go on, as after SIGCONT."""
        self._awake.set()
        self.listening = asyncio.create_task(self.pump.listen(self._url))

    async def end(self) -> None:
        """As `RedisPermits.join` ends."""
        self._awake.set()
        self.running.cancel()
        await asyncio.wait([self.running])
        await self.stop_listening()
        await self.pump.close()

    def acquire(
        self,
        flow: str = "flow",
        priority: QueueClass = "live",
        *,
        within: float = SOON_S,
        place: Place | None = None,
        since: float | None = None,
    ) -> Acquisition:
        deadline = time.monotonic() + within
        return self.permits.acquire(
            flow=flow, priority=priority, deadline=deadline, place=place, since=since
        )

    async def take(
        self, count: int, flow: str = "flow", *, within: float = SOON_S
    ) -> list[tuple[Acquisition, HeldPermit]]:
        """``count`` permits, held until each one's acquisition is left."""
        taken = [self.acquire(flow, within=within) for _ in range(count)]
        return list(
            zip(taken, await asyncio.gather(*(one.__aenter__() for one in taken)), strict=True)
        )


async def leave(taken: tuple[Acquisition, HeldPermit], outcome: str = "ok") -> None:
    acquisition, permit = taken
    permit.outcome = outcome
    await acquisition.__aexit__(None, None, None)


class Crew:
    """Workers and one supervisor's office over one server."""

    def __init__(self, url: str, *, timing: Timing = AT_ONCE, tier: int = 4) -> None:
        self.url = url
        self.timing = timing
        self.tier = tier
        self._stack = AsyncExitStack()
        self._library = library(clock=CLOCK)

    async def __aenter__(self) -> "Crew":
        self.redis = await self._stack.enter_async_context(Redis.from_url(self.url))
        self.office = await self._new_office("supervisor")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _new_office(
        self,
        name: str,
        functions: Library | None = None,
        office: type[PermitOffice] = PermitOffice,
    ) -> PermitOffice:
        commands = await self._stack.enter_async_context(Commands.open(self.url, name=name))
        await commands.wait_up()
        return office(
            commands,
            account=ACCOUNT,
            model=MODEL,
            timing=self.timing,
            functions=functions or self._library,
        )

    async def worker(
        self,
        session: str,
        *,
        tier: int | None = None,
        functions: Library | None = None,
        office: type[PermitOffice] = PermitOffice,
        registers: bool = True,
    ) -> Worker:
        """A worker that is registered; of another version where ``functions`` are given."""
        made = await self._new_office(session, functions, office)
        worker = Worker(made, self.url, session, tier or self.tier)
        self._stack.push_async_callback(worker.end)
        deadline = time.monotonic() + SOON_S
        while registers and not worker.permits.registered:
            assert time.monotonic() < deadline, f"{session} does not register"
            await asyncio.sleep(0.005)
        return worker

    async def state(self) -> PermitsState:
        return await self.office.state()

    async def leap(self, seconds: float) -> None:
        """Let so much time pass on the lease clock."""
        while seconds > 0:
            await self.redis.incrby(AHEAD, round(min(seconds, 1.0) * 1000))
            await self.redis.expire(AHEAD, 60)
            await self.office.step("", [0, "", 0, 0, *self.timing.words()])
            seconds -= 1.0


class Waiting:
    """A caller that waits, and then holds until it is let go."""

    def __init__(self, worker: Worker, flow: str = "flow", **more) -> None:
        self.acquisition = worker.acquire(flow, **more)
        self.told = asyncio.Event()
        self.acquisition._waiter.place = lambda position, eta: self.told.set()
        self.task = asyncio.create_task(self.acquisition.__aenter__())

    @classmethod
    async def queued(cls, worker: Worker, flow: str = "flow", **more) -> "Waiting":
        made = cls(worker, flow, **more)
        await asyncio.wait_for(made.told.wait(), 5)
        return made

    @property
    def granted(self) -> bool:
        return self.task.done() and self.task.exception() is None

    async def leave(self) -> None:
        await leave((self.acquisition, await self.task))

    async def give_up(self) -> None:
        if not self.task.done():
            self.task.cancel()
            await asyncio.wait([self.task])
        elif self.granted:
            await self.leave()


async def drained(crew: Crew) -> None:
    for _ in range(200):
        state = await crew.state()
        if state.used == 0 and state.waiting == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not drained: {state}")


def state_is(crew: Crew, **wanted: object) -> Callable[[], Awaitable[bool]]:
    """For `eventually`: the semaphore's state has these values."""

    async def check() -> bool:
        state = await crew.state()
        assert {name: getattr(state, name) for name in wanted} == wanted
        return True

    return check
