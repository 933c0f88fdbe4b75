"""A semaphore as Stripe describes its limiter of concurrent requests: a sorted set, polled.

The description (stripe.com/blog/rate-limiters, and the gist it links to) is a sorted set of request
ids with their times. A script admits while the set has fewer than the capacity; ids older than 60 s
are dropped as lost; a finished request removes its own. Who is not admitted gets a 429 and comes
back later. It is written here as kindly as it can be: dropping the old ids is part of the script
(one round trip an attempt, the gist needs two), the server's clock dates them, hiredis parses, and
a caller that is cancelled removes its id in the background.

The description leaves open when to come back. Here: FIRST_S, doubling to LAST_S, each time drawn
from the half to the whole of it. Stripe's own client begins at 0.5 s, with which most of a tier of
20 ms requests would stand empty; shorter pauses than these cost still more CPU.
"""

import asyncio
import random
from types import TracebackType
from uuid import uuid4

from redis.asyncio import Redis

LOST_S = 60  # as in the gist: an id this old was left by a process that died
FIRST_S = 0.01
LAST_S = 0.25

ADMIT = """
local now = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now[1] - ARGV[3])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now[1], ARGV[2])
return 1
"""


class PolledSemaphore:
    def __init__(self, client: Redis, *, key: str, capacity: int, seed: int) -> None:
        self.client = client
        self.key = key
        self.capacity = capacity
        self.random = random.Random(seed)
        self.admit = client.register_script(ADMIT)
        self.refused = 0
        self.leaving: set[asyncio.Task[object]] = set()

    def acquire(self) -> "PolledPermit":
        return PolledPermit(self)


class PolledPermit:
    def __init__(self, semaphore: PolledSemaphore) -> None:
        self._semaphore = semaphore
        self._id = uuid4().hex

    async def __aenter__(self) -> None:
        semaphore = self._semaphore
        pause = FIRST_S
        try:
            while not await semaphore.admit(
                keys=[semaphore.key], args=[semaphore.capacity, self._id, LOST_S]
            ):
                semaphore.refused += 1
                await asyncio.sleep(pause * (0.5 + semaphore.random.random() / 2))
                pause = min(2 * pause, LAST_S)
        except BaseException:
            leaving = asyncio.create_task(self._leave())
            semaphore.leaving.add(leaving)
            leaving.add_done_callback(semaphore.leaving.discard)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        await self._semaphore.client.zrem(self._semaphore.key, self._id)
