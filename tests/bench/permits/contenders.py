"""The semaphores that are compared, each behind the same call: `async with acquire(number):`.

Each is used as its own documentation shows, with what it lets one choose chosen for speed: one
shared object where it may be shared, and as many connections as it can use.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import NamedTuple

from redis.asyncio import Redis

from service.store.connection import Commands
from service.store.permit_office import PermitOffice
from service.store.permit_steps import Timing, library
from service.store.permits import RedisPermits
from tests.bench.permits.orders import Orders
from tests.bench.permits.polled import PolledSemaphore

ACCOUNT, MODEL = "bench", "model"
NAME = "bench"  # of the peers' semaphores
PATIENCE_S = 600.0  # nobody is refused
REGISTERED_S = 10.0
# permits_log.lua for the bench: what is freed and given, in order.
LOG = """
local function note(step, what, id) redis.call('RPUSH', step.prefix .. 'log', what .. ' ' .. id) end
"""

Acquire = Callable[[int], AbstractAsyncContextManager[object]]
Opened = AbstractAsyncContextManager[Acquire]


async def registered(permits: RedisPermits) -> None:
    """Raises TimeoutError."""
    async with asyncio.timeout(REGISTERED_S):
        while not permits.registered:  # noqa: ASYNC110 - it tells no other way
            await asyncio.sleep(0.01)


@asynccontextmanager
async def parley(orders: Orders) -> AsyncIterator[Acquire]:
    """No linger: no peer has one, and nothing is cut here."""
    functions = library(permits_log=LOG) if orders.logged else library()
    async with Commands.open(orders.url, name=orders.session) as commands:
        office = PermitOffice(
            commands, account=ACCOUNT, model=MODEL, timing=Timing(linger_s=0.0), functions=functions
        )
        joined = RedisPermits.join(office, orders.url, session=orders.session, tier=orders.capacity)
        async with joined as permits:
            await registered(permits)

            def acquire(number: int) -> AbstractAsyncContextManager[object]:
                return permits.acquire(
                    flow=f"shop {orders.session}-{number}",
                    priority="live",
                    deadline=time.monotonic() + PATIENCE_S,
                )

            yield acquire


@asynccontextmanager
async def self_limiters(orders: Orders) -> AsyncIterator[Acquire]:
    """One object for all: its connections are pooled in it. Each waiter blocks one of them."""
    from self_limiters import Semaphore  # type: ignore[import-not-found]  # in .venv-bench only

    semaphore = Semaphore(
        name=NAME,
        capacity=orders.capacity,
        redis_url=orders.url,
        connection_pool_size=orders.waiters + orders.capacity,
    )
    yield lambda number: semaphore


@asynccontextmanager
async def async_redis_rate_limiters(orders: Orders) -> AsyncIterator[Acquire]:
    from async_redis_rate_limiters import (  # type: ignore[import-not-found]
        DistributedSemaphoreManager,
    )

    manager = DistributedSemaphoreManager(
        redis_url=orders.url, redis_max_connections=2 * (orders.waiters + orders.capacity)
    )

    def acquire(number: int) -> AbstractAsyncContextManager[object]:
        made: AbstractAsyncContextManager[object] = manager.get_semaphore(NAME, orders.capacity)
        return made

    yield acquire


@asynccontextmanager
async def polled(orders: Orders) -> AsyncIterator[Acquire]:
    async with Redis.from_url(orders.url, max_connections=2 * orders.waiters) as client:
        semaphore = PolledSemaphore(client, key=NAME, capacity=orders.capacity, seed=orders.seed)
        yield lambda number: semaphore.acquire()


@asynccontextmanager
async def slices(orders: Orders) -> AsyncIterator[Acquire]:
    """Each process has its share and knows of no other."""
    semaphore = asyncio.Semaphore(orders.capacity // orders.processes)
    yield lambda number: semaphore


@asynccontextmanager
async def nothing(orders: Orders) -> AsyncIterator[Acquire]:
    """As many callers as permits, so that none would ever wait: what the bench itself costs."""
    free = nullcontext()
    yield lambda number: free


class Contender(NamedTuple):
    """``modules`` must be there. Only what is ``distributed`` is compared with Parley."""

    title: str
    open: Callable[[Orders], Opened]
    distributed: bool = True
    modules: tuple[str, ...] = ()


PARLEY, NOTHING = "parley", "nothing"
CONTENDERS = {
    PARLEY: Contender("Parley's permits", parley),
    "self-limiters": Contender("self-limiters", self_limiters, modules=("self_limiters",)),
    "async-redis-rate-limiters": Contender(
        "async-redis-rate-limiters",
        async_redis_rate_limiters,
        modules=("async_redis_rate_limiters",),
    ),
    "polled": Contender("sorted set, polled", polled),
    "slices": Contender("asyncio.Semaphore slices", slices, distributed=False),
    NOTHING: Contender("no semaphore", nothing, distributed=False),
}
PEERS = [name for name, one in CONTENDERS.items() if one.distributed and name != PARLEY]


def share(name: str, capacity: int, processes: int) -> int:
    """How many permits one process alone can have."""
    return capacity if CONTENDERS[name].distributed else capacity // processes
