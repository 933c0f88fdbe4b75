"""A worker process that wants more than there is: `python -m tests.support.permit_hammer ORDERS`.

ORDERS is the JSON of ``Orders``. Every caller has one connection to the upstream, which counts for
itself: within a permit it sends the milliseconds of a request and waits for its end. When its
standard input ends, the process stops and prints the JSON of ``Account``.
"""

import asyncio
import contextlib
import random
import sys
import time

import msgspec

from service.core.queueing import HeldPermit
from service.store.connection import Commands
from service.store.permit_office import PermitOffice
from service.store.permit_steps import Timing
from service.store.permits import RedisPermits


class Orders(msgspec.Struct):
    url: str
    session: str
    tier: int
    upstream: int  # port
    callers: int
    hold_ms: tuple[int, int]
    cancelled: float = 0.0  # share of the waiters that give up while they wait
    lease_s: float = 5.0
    linger_s: float = 1.0
    seed: int = 1


class Account(msgspec.Struct):
    """What one process saw: requests served, and (first ETA, real wait) in ms."""

    served: int = 0
    cancelled: int = 0
    waits: list[tuple[int, int]] = []


class Caller:
    def __init__(self, permits: RedisPermits, orders: Orders, account: Account, name: str) -> None:
        self._permits = permits
        self._orders = orders
        self._account = account
        self._name = name
        self._random = random.Random(f"{orders.seed} {name}")

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._orders.upstream)
        try:
            while True:
                if self._random.random() < self._orders.cancelled:
                    await self._give_up()
                else:
                    await self._request(reader, writer)
        finally:
            writer.close()

    async def _give_up(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._random.random() * 0.1), self._acquire([]) as permit:
                permit.outcome = "unused"
        self._account.cancelled += 1

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first: list[int] = []
        async with self._acquire(first) as permit:
            if first:
                self._account.waits.append((first[0], permit.waited_ms))
            writer.write(b"%d\n" % self._random.randint(*self._orders.hold_ms))
            await reader.readline()
            permit.outcome = "ok"
        self._account.served += 1

    def _acquire(self, first: list[int]) -> contextlib.AbstractAsyncContextManager[HeldPermit]:
        def place(position: int, eta_ms: int) -> None:
            if not first:
                first.append(eta_ms)

        return self._permits.acquire(
            flow=self._name, priority="live", deadline=time.monotonic() + 60, place=place
        )


async def main(orders: Orders) -> None:
    account = Account()
    timing = Timing(orders.linger_s, orders.lease_s, heartbeat_s=min(1.0, orders.lease_s / 5))
    async with Commands.open(orders.url, name=orders.session) as commands:
        office = PermitOffice(commands, account="hammer", model="model", timing=timing)
        async with RedisPermits.join(
            office, orders.url, session=orders.session, tier=orders.tier
        ) as permits:
            callers = [
                asyncio.create_task(
                    Caller(permits, orders, account, f"{orders.session}-{number}").run()
                )
                for number in range(orders.callers)
            ]
            await asyncio.to_thread(sys.stdin.read)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
    print(msgspec.json.encode(account).decode())


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Orders)))
