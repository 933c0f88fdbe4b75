"""A worker's application: what it does when Redis is there, but of no use."""

import os
import signal
import time

import pytest

from service.edge.app import Worker
from service.edge.context import WorkerContext
from service.settings import load
from service.store.log import Log
from tests.support.client import customer
from tests.support.instance import Instance
from tests.support.valkey import Valkey


@pytest.fixture
def own():
    """A server of this test's own, to hurt."""
    with Valkey() as server:
        yield server


async def test_a_full_redis_makes_a_worker_unready_and_does_not_end_it(
    own, eventually, monkeypatch
):
    ended, loads, load_functions = [], [], Log.load

    async def counted(log):
        loads.append("load")
        await load_functions(log)

    monkeypatch.setattr(Log, "load", counted)
    context = WorkerContext(
        settings=load({"PARLEY_REDIS_URL": own.url, "PARLEY_MODEL_URL": "http://127.0.0.1:1"}),
        sites={},
        session="session-of-a-test",
        name="worker-1",
        slot=0,
        quit=lambda: ended.append("quit"),
    )
    worker = Worker(context)
    with own.client() as redis:
        redis.config_set("maxmemory", 1)
        async with worker.running():
            await eventually(lambda: len(loads) > 1 or ended)
            assert not ended and not worker.ready
            redis.config_set("maxmemory", 0)
            await eventually(lambda: worker.ready)


async def test_who_is_sent_away_has_the_time_to_move(own, simulator):
    with Instance(own.url, simulator.url, workers=1) as instance:
        async with customer(instance.url) as idle:
            [worker] = instance.workers()
            os.kill(worker["pid"], signal.SIGTERM)
            goaway = await idle.got("goaway")
            told = time.monotonic()
            assert goaway["reason"] == "deploy" and 0 <= goaway["after_ms"] <= 2000
            assert await idle.closed() == 1012
            assert time.monotonic() - told > goaway["after_ms"] / 1000
