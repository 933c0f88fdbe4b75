"""A worker process of the rig: `python -m tests.chaos.permits.worker ORDERS`.

ORDERS is the JSON of ``Orders``.

The permits and the model client are the product's own; so is the order of things: a request runs
from before its connection to after its last byte inside one permit, and the permit is told what
became of it. It says "ready" once its session is registered, and asks from the line "go" on its
standard input to the line "drain": then who waits goes, what runs is read to its end, and the JSON
of ``Account`` is printed. The end of standard input ends the process.
"""

import asyncio
import random
import sys
import time
from collections import Counter, deque
from contextlib import AsyncExitStack

import msgspec
import structlog
import uvloop

from service.clients.model import GlmModel
from service.core.errors import ModelError
from service.core.model import ModelRequest
from service.core.permit_errors import PermitError
from service.core.queueing import HeldPermit, QueueClass
from service.store.connection import Commands
from service.store.permits import RedisPermits
from tests.chaos.permits.connections import small_buffers
from tests.chaos.permits.orders import Account, Orders
from tests.chaos.permits.terms import FIRST_TOKEN_MS, KEY, MODEL, TOKENS, office_of
from tests.support.eventually import eventually

WAIT_S = 60.0  # a caller's patience; no scenario is that long
AGAIN_S = 0.2  # after an error, so that a defect does not become a busy loop
LIVE = 0.8  # share of the callers; the others ask for background work
SITES = 3
REGISTERED_S = 30.0  # Redis may be paused or away just then
MIXED_S = 0.4
WAITS_KEPT = 2000
RECENT = 64  # waits that tell when a caller who will not stay goes


class Callers:
    """All callers of this process, and what becomes of their requests."""

    def __init__(self, permits: RedisPermits, model: GlmModel, orders: Orders) -> None:
        self.account = Account()
        self._permits = permits
        self._model = model
        self._orders = orders
        self._random = random.Random(f"{orders.seed} {orders.session}")
        self._recent: deque[float] = deque([sum(orders.hold_ms) / 2000], maxlen=RECENT)
        self._refused: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._going = asyncio.Event()
        self._draining = asyncio.Event()
        self._held: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Ask from "go" to "drain"."""
        await self._going.wait()
        async with asyncio.TaskGroup() as group:
            for number in range(self._orders.callers):
                priority: QueueClass = (
                    "live" if number < LIVE * self._orders.callers else "background"
                )
                flow = f"site{number % SITES} {self._orders.session}-{number}"
                group.create_task(self._caller(flow, priority))
        self.account.refused, self.account.failed = dict(self._refused), dict(self._failed)

    def told(self, word: bytes) -> None:
        {b"go": self._going, b"drain": self._draining}[word].set()

    async def _caller(self, flow: str, priority: QueueClass) -> None:
        # The first ones mix with other workers' in the queue, and end one after the other: as if
        # all had begun long before.
        await asyncio.sleep(self._random.random() * MIXED_S)
        shortest = FIRST_TOKEN_MS
        while not self._draining.is_set():
            hold_ms = self._random.randint(shortest, self._orders.hold_ms[1])
            shortest = self._orders.hold_ms[0]
            wait = asyncio.create_task(self._request(flow, priority, hold_ms))
            leave = asyncio.create_task(self._leave(wait))
            try:
                await wait
            except asyncio.CancelledError:
                if not wait.cancelled() or _ends():
                    raise
                if wait in self._held:
                    self.account.cut += 1
                else:
                    self.account.given_up += 1
            except PermitError as error:
                await self._again(self._failed, error.code)
            except ModelError as error:
                kind = self._refused if error.provider_code else self._failed
                await self._again(kind, error.provider_code or error.code)
            finally:
                self._held.discard(wait)
                leave.cancel()

    async def _again(self, counter: Counter[str], code: str) -> None:
        counter[code] += 1
        await asyncio.sleep(AGAIN_S)

    async def _leave(self, wait: "asyncio.Task[None]") -> None:
        """Cancel the caller at its moment, if it will not stay; at the drain, if it waits."""
        stays = self._random.random() >= self._orders.cancelled
        usual = sum(self._recent) / len(self._recent)
        patience = WAIT_S if stays else self._random.random() * 1.2 * usual
        try:
            async with asyncio.timeout(patience):
                await self._draining.wait()
        except TimeoutError:
            wait.cancel()
        else:
            if wait not in self._held:
                wait.cancel()

    async def _request(self, flow: str, priority: QueueClass, hold_ms: int) -> None:
        asked = time.monotonic()
        async with self._permits.acquire(
            flow=flow, priority=priority, deadline=asked + WAIT_S
        ) as permit:
            task = asyncio.current_task()
            assert task is not None
            self._held.add(task)
            self._recent.append(permit.waited_ms / 1000)
            if len(self.account.waits_ms) < WAITS_KEPT:
                self.account.waits_ms.append(permit.waited_ms)
            try:
                await self._answer(permit, hold_ms)
            except ModelError as error:
                permit.outcome = error.provider_code or "aborted"
                raise
            permit.outcome = "ok"
            self.account.answered += 1

    async def _answer(self, permit: HeldPermit, hold_ms: int) -> None:
        rate = (TOKENS - 1) / max(0.001, (hold_ms - FIRST_TOKEN_MS) / 1000)
        pace = f"pace first_token_ms={FIRST_TOKEN_MS} tokens_per_second={rate:.3f}"
        request = ModelRequest(
            messages=[{"role": "user", "content": f"{self._orders.answers} [[simulate:{pace}]]"}],
            max_tokens=4 * TOKENS,
            user_id="customer",
            request_id=permit.id[-64:],
        )
        async with self._model.stream(request, deadline=permit.deadline) as events:
            async for _ in events:
                pass


def _ends() -> bool:
    """Whether the caller itself is cancelled, and not only its request."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def listen(callers: Callers) -> None:
    """Until the end of standard input."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        callers.told(line.strip())


async def ready(permits: RedisPermits) -> None:
    await eventually(lambda: permits.registered, within=REGISTERED_S, what="a registered session")
    print("ready", flush=True)


async def main(orders: Orders) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(small_buffers())
        commands = await stack.enter_async_context(Commands.open(orders.url, name=orders.session))
        office = office_of(commands, orders)
        model = await stack.enter_async_context(
            GlmModel.open(orders.upstream, KEY, MODEL, orders.tier)
        )
        permits = await stack.enter_async_context(
            RedisPermits.join(office, orders.url, session=orders.session, tier=orders.tier)
        )
        await ready(permits)
        callers = Callers(permits, model, orders)
        asking = asyncio.create_task(callers.run())
        asking.add_done_callback(lambda task: report(task, callers))
        ends = [asyncio.create_task(listen(callers)), asyncio.create_task(permits.run())]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (asking, *ends):
                task.cancel()
            await asyncio.gather(asking, *ends, return_exceptions=True)


def report(asking: "asyncio.Task[None]", callers: Callers) -> None:
    if not asking.cancelled() and asking.exception() is None:
        print(msgspec.json.encode(callers.account).decode(), flush=True)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Orders)))
