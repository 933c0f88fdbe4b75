"""Permits in memory: one process's semaphore with the rules of the real one.

For tests of flows, which need neither Redis nor workers. It passes the same contract suite.
"""

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from types import TracebackType

from service.core.permit_errors import PermitTimeout, QueueTooLong
from service.core.queueing import HOLD_S, MARGIN_S, HeldPermit, Waiter, eta_ms
from service.flows.ports import Place, Priority

BACKGROUND_EVERY = 20


@dataclass(slots=True, kw_only=True)
class Asker(Waiter):
    future: asyncio.Future[HeldPermit]

    @property
    def ticket(self) -> tuple[float, float]:
        return float(self.tag or 0), float(self.arrival or 0)


@dataclass(slots=True)
class Queue:
    """Start-time fair queueing over flows: a ticket is (round, arrival)."""

    waiters: list[Asker] = field(default_factory=list)
    virtual: int = 0
    finish: dict[str, int] = field(default_factory=dict)

    def add(self, waiter: Asker) -> None:
        if waiter.since is None:
            waiter.tag = max(self.virtual, self.finish.get(waiter.flow, 0))
            self.finish[waiter.flow] = waiter.tag + 1
        else:
            waiter.tag = round(waiter.since * 1000) - 2**50
        self.waiters.append(waiter)
        self.waiters.sort(key=lambda other: other.ticket)

    def remove(self, waiter: Asker) -> None:
        if waiter in self.waiters:
            self.waiters.remove(waiter)
            if waiter.tag is not None and self.finish.get(waiter.flow) == waiter.tag + 1:
                self.finish[waiter.flow] = waiter.tag

    def pop(self) -> Asker:
        waiter = self.waiters.pop(0)
        self.virtual = max(self.virtual, waiter.tag or 0)
        return waiter


class MemoryPermits:
    """Fits ``flows.ports.Permits``. ``hold_ms``: the mean hold, for ETAs; 0: unknown."""

    def __init__(self, tier: int, *, linger_s: float = 0.0, hold_ms: int = 0) -> None:
        self.tier = tier
        self.hold_ms = hold_ms
        self.held: dict[str, HeldPermit] = {}
        self.outcomes: list[str] = []
        self.queues: dict[str, Queue] = {"live": Queue(), "background": Queue()}
        self._linger_s = linger_s
        self._lingering = 0
        self._since_background = 0
        self._numbers = itertools.count(1)

    @property
    def used(self) -> int:
        return len(self.held) + self._lingering

    def acquire(
        self,
        *,
        flow: str,
        priority: Priority,
        deadline: float,
        place: Place | None = None,
        since: float | None = None,
    ) -> "Acquisition":
        number = next(self._numbers)
        return Acquisition(
            self,
            Asker(
                number=number, flow=flow, priority=priority, asked=time.monotonic(),
                deadline=deadline, since=since, place=place, arrival=number,
                future=asyncio.get_running_loop().create_future(),
            ),
        )  # fmt: skip

    def _enter(self, waiter: Asker) -> None:
        self.queues[waiter.priority].add(waiter)
        self._hand_out()
        if waiter.future.done():
            return
        position = self._position(waiter)
        eta = eta_ms(position, self.hold_ms * 1000 // self.tier)
        if eta > (waiter.deadline - time.monotonic()) * 1000:
            self.queues[waiter.priority].remove(waiter)
            raise QueueTooLong(position=position, eta_ms=eta)
        self._tell_places()

    def _position(self, waiter: Asker) -> int:
        ahead = 0 if waiter.priority == "live" else len(self.queues["live"].waiters)
        return ahead + self.queues[waiter.priority].waiters.index(waiter) + 1

    def _tell_places(self) -> None:
        for queue in self.queues.values():
            for waiter in queue.waiters:
                position = self._position(waiter)
                if position != waiter.position:
                    waiter.position = position
                    waiter.eta_ms = eta_ms(position, self.hold_ms * 1000 // self.tier)
                    if waiter.place is not None:
                        waiter.place(position, waiter.eta_ms)

    def _leave(self, permit: HeldPermit, outcome: str) -> None:
        if self.held.pop(permit.id, None) is None:
            return
        self.outcomes.append(outcome)
        if outcome == "aborted" and self._linger_s:
            self._lingering += 1
            asyncio.get_running_loop().call_later(self._linger_s, self._lingered)
        self._hand_out()
        self._tell_places()

    def _lingered(self) -> None:
        self._lingering -= 1
        self._hand_out()
        self._tell_places()

    def _hand_out(self) -> None:
        while self.used < self.tier:
            queue = self._choose()
            if queue is None:
                return
            waiter = queue.pop()
            if waiter.future.done():
                continue
            now = time.monotonic()
            waited = round((now - waiter.asked) * 1000)
            permit = HeldPermit(
                f"twin:{waiter.number}", waiter.priority, now, waited, now + HOLD_S - MARGIN_S
            )
            self.held[permit.id] = permit
            waiter.future.set_result(permit)

    def _choose(self) -> Queue | None:
        live, background = self.queues["live"], self.queues["background"]
        cap = max(1, self.tier - max(2, self.tier * 4 // 100))
        running = sum(permit.priority == "background" for permit in self.held.values())
        may = bool(background.waiters) and running < cap
        if may and (not live.waiters or self._since_background >= BACKGROUND_EVERY - 1):
            self._since_background = 0
            return background
        if not live.waiters:
            return None
        self._since_background += may
        return live


class Acquisition:
    def __init__(self, permits: MemoryPermits, waiter: Asker) -> None:
        self._permits = permits
        self._waiter = waiter

    async def __aenter__(self) -> HeldPermit:
        permits, waiter = self._permits, self._waiter
        permits._enter(waiter)
        try:
            async with asyncio.timeout(waiter.deadline - time.monotonic()):
                return await waiter.future
        except BaseException as error:
            permits.queues[waiter.priority].remove(waiter)
            if waiter.future.done() and not waiter.future.cancelled():
                permits._leave(waiter.future.result(), "unused")
            permits._tell_places()
            if isinstance(error, TimeoutError):
                raise PermitTimeout(position=waiter.position, eta_ms=waiter.eta_ms) from error
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        permit = self._waiter.future.result()
        self._permits._leave(permit, permit.outcome or ("ok" if kind is None else "aborted"))
