"""The application of one worker: when it would take a new customer."""

from types import SimpleNamespace

import pytest

from service.edge.app import Worker
from service.edge.context import WorkerContext
from service.settings import load


@pytest.fixture
def worker():
    """One that lacks nothing; its connections are only what readiness looks at."""
    context = WorkerContext(settings=load({}), sites={}, session="s", name="worker-1", slot=0)
    worker = Worker(context)
    worker.commands = SimpleNamespace(up=True, run_id="run-1")
    worker.subscriber = SimpleNamespace(up=True)
    worker.permits = SimpleNamespace(registered=True)
    return worker


async def test_a_worker_that_lacks_nothing_is_ready(worker):
    assert worker._is_ready("run-1")


@pytest.mark.parametrize(
    ("lacks", "cause"),
    [
        ("Redis", lambda worker: setattr(worker.commands, "up", False)),
        ("word from other workers", lambda worker: setattr(worker.subscriber, "up", False)),
        ("functions on a new server", lambda worker: setattr(worker.commands, "run_id", "run-2")),
        ("a permit session", lambda worker: setattr(worker.permits, "registered", False)),
        ("time", lambda worker: worker.context.drain(1.0)),
    ],
)
async def test_each_single_lack_makes_it_unready(worker, lacks, cause):
    cause(worker)
    assert not worker._is_ready("run-1"), lacks
