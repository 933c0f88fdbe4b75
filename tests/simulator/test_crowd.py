"""The tier's count under every setting of what the real endpoint does not tell."""

import asyncio
import itertools
import random
import time

import pytest

from tests.simulator.api import connect, question, read_out
from tests.support.eventually import eventually

SMALL = 4096  # bytes of a receive buffer that is soon full
LONG = "long tokens=3000"  # some 600 KB of a stream


class Crowd:
    """Clients that read, leave, sleep and wake, sleep and leave: by a seed."""

    def __init__(self, simulator, seed: int) -> None:
        self._simulator = simulator
        self._random = random.Random(seed)

    async def client(self) -> None:
        chance = self._random
        simulate = chance.choice(
            ["", "", LONG, LONG, "eof", "cut after=3", "stall after=2 for=0.05", "hang for=0.05"]
        )
        stream = chance.random() < 0.8
        body = question("hello", stream=stream)
        connection = connect(self._simulator.base, body, simulate, receive_buffer=SMALL)
        with connection:
            behaviour = chance.choice(["read", "leave", "sleep and read", "sleep and leave"])
            if "sleep" in behaviour:
                until = time.monotonic() + chance.random() / 5
                await eventually(lambda: time.monotonic() > until, what="the sleep")
            if "read" in behaviour:
                await asyncio.to_thread(read_out, connection)


OPTIONS = list(itertools.product([0, 60], [0, 40, "never"], [False, True]))


@pytest.mark.parametrize(("lag", "delay", "stall"), OPTIONS, ids=str)
async def test_the_tier_is_counted_exactly_whatever_clients_do(
    simulator, lag: int, delay: object, stall: bool
) -> None:
    simulator.control(release_lag_ms=lag, disconnect_delay_ms=delay, write_stall=stall)
    simulator.control(tokens_per_second=20_000, first_token_ms=5, tier=6)
    crowd = Crowd(simulator, seed=OPTIONS.index((lag, delay, stall)))
    clients = asyncio.gather(*(crowd.client() for _ in range(40)))
    while not clients.done():
        stats = simulator.stats()
        assert sum(stats["work"].values()) == stats["concurrency"] <= 6
        await asyncio.sleep(0)
    await clients
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    stats = simulator.stats()
    ended = sum(count for name, count in stats["outcomes"].items() if name != "error_1302")
    assert stats["starts"] == ended == sum(second["ends"] for second in stats["seconds"])
    assert stats["over_tier_starts"] == stats["outcomes"].get("error_1302", 0)
    assert "failed" not in stats["outcomes"]
    assert stats["max_concurrency"] <= 6
