"""One worker process under load: `python -m tests.bench.permits.worker ORDERS`; see orders.py.

Where does the upstream count? A server that counts for itself would have to read and answer 2,500
requests a second on the two cores that are measured, and would be the bottleneck. But a count needs
no server: each hold is written down as it happens, with CLOCK_MONOTONIC before its first and after
its last moment, and the parent merges the lists of all processes afterwards. That is exact, costs
0.2 us, and cannot be fooled by a semaphore that loses count, because no semaphore is asked.

Holds differ by up to SPREAD, and each waiter's first one by all of itself. Were they all alike,
then whatever made two permits end at once, the start or a pause of the machine, would do so for the
rest of the run: all permits would be given back in the same millisecond, which no provider's
answers are.
"""

import asyncio
import random
import resource
import sys
import time
from contextlib import suppress

import msgspec
import uvloop

from tests.bench.permits.contenders import CONTENDERS, Acquire, share
from tests.bench.permits.orders import MS, Orders, Report
from tests.bench.permits.upstream import Upstream

SPREAD = 0.1  # of a hold, either way
GIVE_UP = 0.1  # of the acquisitions of the churn
DRAIN_S = 2.0  # at 20 ms holds all waiters are served in 0.15 s; who is not by then is stuck
PROBE_S = 1.0  # to get what is free: one round trip, or one poll
CLEAR_S = 0.5  # for probers that wait for other probers

now = time.monotonic_ns


def cpu_s() -> float:
    """Of all threads of this process, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Load:
    """The callers of one process, who ask again as soon as they were served."""

    def __init__(self, orders: Orders, acquire: Acquire, upstream: Upstream) -> None:
        self.report = Report()
        self._orders = orders
        self._acquire = acquire
        self._upstream = upstream
        self._random = random.Random(f"{orders.seed} {orders.session}")
        self._hold_ns = orders.hold_ms * MS
        # Some acquire in a round: twice a usual wait, so that some of who would give up is served.
        waits = orders.waiters * orders.processes / orders.capacity
        self._patience_s = 2 * waits * orders.hold_ms / 1000
        self._asking: dict[int, int] = {}
        self._ending = False
        self._give_up = 0.0

    async def run(self, begin: int) -> None:
        """Until window and churn have passed and the callers are served, or are stuck."""
        orders = self._orders
        await asyncio.sleep((begin - now()) / 1e9)
        callers = [asyncio.create_task(self._call(number)) for number in range(orders.waiters)]
        await asyncio.sleep(orders.warm_s)
        await self._measure()
        if orders.churn_s:
            self._give_up = GIVE_UP
            await asyncio.sleep(orders.churn_s)
        self._ending = True
        if orders.churn_s:
            _, stuck = await asyncio.wait(callers, timeout=DRAIN_S)
            self.report.stuck = len(stuck)
        for caller in callers:
            caller.cancel()
        ended, _ = await asyncio.wait(callers, timeout=DRAIN_S)  # some libraries swallow it
        for caller in ended:
            if not caller.cancelled():
                caller.result()

    async def _measure(self) -> None:
        began, before = now(), cpu_s()
        await asyncio.sleep(self._orders.window_s)
        self.report.cpu_s = cpu_s() - before
        self.report.window = began, now()
        self.report.waiting = list(self._asking.values())

    async def _call(self, number: int) -> None:
        least = 0.0
        while not self._ending:
            hold_ns = round(self._hold_ns * self._random.uniform(least, 2 - least))
            least = 1 - SPREAD
            if self._give_up:
                await self._churn(number, hold_ns)
            else:
                await self._ask(number, hold_ns)

    async def _churn(self, number: int, hold_ns: int) -> None:
        """Some give up; what that does to others is counted, errors included."""
        try:
            if self._random.random() < self._give_up:
                await self._ask_impatiently(number, hold_ns)
            else:
                await self._ask(number, hold_ns)
        except Exception as error:
            self.report.errors += 1
            self.report.error = f"{type(error).__name__}: {error}"
            await asyncio.sleep(self._hold_ns / 1e9)

    async def _ask(self, number: int, hold_ns: int) -> None:
        asked = self._asking[number] = now()
        async with self._acquire(number) as permit:
            started = now()
            del self._asking[number]
            await self._use(asked, started, hold_ns, permit)

    async def _ask_impatiently(self, number: int, hold_ns: int) -> None:
        """Be cancelled at a random moment, unless it was served before that."""
        asked = now()
        acquisition = self._acquire(number)

        async def enter() -> object:
            return await acquisition.__aenter__()

        entering = asyncio.create_task(enter())
        await asyncio.wait([entering], timeout=self._random.random() * self._patience_s)
        entering.cancel()  # nothing happens to one that was served
        await asyncio.wait([entering])
        if entering.cancelled():
            self.report.cancelled += 1
            return
        permit = entering.result()
        await self._use(asked, now(), hold_ns, permit)
        await acquisition.__aexit__(None, None, None)

    async def _use(self, asked: int, started: int, hold_ns: int, permit: object) -> None:
        """A request to the upstream, written down as it was."""
        due = started + hold_ns
        try:
            await self._upstream.answer(due)
        finally:  # the load's end cuts it short
            self.report.holds.append((asked, started, due, now()))
            if self._orders.logged:
                self.report.ids.append(permit.id)  # type: ignore[attr-defined]  # Parley's


async def probe(acquire: Acquire, wanted: int) -> int:
    """How many of ``wanted`` permits can be had at once, now that nobody else has any."""
    got = 0
    all_got, gate = asyncio.Event(), asyncio.Event()

    async def take(number: int) -> None:
        nonlocal got
        async with acquire(number):
            got += 1
            if got == wanted:
                all_got.set()
            await gate.wait()

    takers = [asyncio.create_task(take(number)) for number in range(wanted)]
    with suppress(TimeoutError):
        async with asyncio.timeout(PROBE_S):
            await all_got.wait()
    found = got
    gate.set()  # who could not be served is served now, and so need not be cancelled
    _, stuck = await asyncio.wait(takers, timeout=CLEAR_S)
    for taker in stuck:
        taker.cancel()
    return found


async def obey(orders: Orders) -> None:
    contender = CONTENDERS[orders.contender]
    async with contender.open(orders) as acquire:
        say(b"ready")
        while (words := (await asyncio.to_thread(sys.stdin.readline)).split()) != ["end"]:
            match words:
                case ["begin", begin]:
                    say(msgspec.json.encode(await loaded(orders, acquire, int(begin))))
                case ["probe"]:
                    wanted = share(orders.contender, orders.capacity, orders.processes)
                    say(b"%d" % await probe(acquire, wanted))
                case _:
                    return  # the parent has gone


async def loaded(orders: Orders, acquire: Acquire, begin: int) -> Report:
    with Upstream() as upstream:
        load = Load(orders, acquire, upstream)
        try:
            await load.run(begin)
        except Exception as error:
            load.report.failed = f"{type(error).__name__}: {error}"
    return load.report


def say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(obey(msgspec.json.decode(sys.argv[1], type=Orders)))
