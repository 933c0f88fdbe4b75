"""Fixtures that every part of the suite may use; what only one part needs stands beside it.

The suite is deaf to the settings of the machine that it runs on: PARLEY_* and the platforms' own
variables are removed, except those that the tests themselves read.
"""

import asyncio
import functools
import inspect
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import hypothesis
import pytest
import uvloop
from redis.asyncio import Redis

from tests.support import programs
from tests.support.client import cut_what_was_left_open
from tests.support.eventually import eventually as eventually_true
from tests.support.valkey import Valkey

# PARLEY_MODEL_*: with them, the model client's contract suite also runs against the real model.
KEPT = {"PARLEY_CHROMIUM", "PARLEY_MODEL", "PARLEY_MODEL_KEY", "PARLEY_MODEL_URL"}
for name in list(os.environ):
    if name in {"PORT", "WEB_CONCURRENCY", "REDIS_URL"} or (
        name.startswith("PARLEY_") and name not in KEPT
    ):
        del os.environ[name]

# Under nohup a hangup is ignored, by every process that we start as well; its tests need it heard.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

hypothesis.settings.register_profile(
    "parley",
    deadline=None,  # two workers on two cores: a slow example says nothing
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
)
hypothesis.settings.load_profile("parley")

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Need:
    """A program that the tests with a marker cannot do without."""

    find: Callable[[], str | None]
    remedy: str


NEEDS = {
    "browser": Need(programs.chromium, ".venv/bin/playwright install --with-deps chromium"),
    "nginx": Need(programs.nginx, "apt-get install nginx"),
    "spin": Need(programs.verifier, programs.SPIN_REMEDY),
}


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that workers run on; it is not asyncio's own in every corner."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder, so that no browser is ever started beside other tests by mistake."""
    for item in items:
        folder = item.path.relative_to(HERE).parts[0] if item.path.is_relative_to(HERE) else ""
        if folder in ("browser", "system"):
            item.add_marker(folder)
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = bounded(item.obj, seconds=EARLIER * limit_of(item))
        for marker, need in NEEDS.items():
            if item.get_closest_marker(marker) and need.find() is None:
                item.add_marker(pytest.mark.skip(reason=not_run(marker)))


EARLIER = 0.9  # of a test's time limit: before the alarm, which uvloop swallows within a callback


def limit_of(item: pytest.Item) -> float:
    """Seconds that pytest-timeout gives ``item``."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker is not None else item.config.getini("timeout"))


def bounded(
    test: Callable[..., Awaitable[object]], *, seconds: float
) -> Callable[..., Awaitable[None]]:
    """``test``, which is cancelled where it hangs, so that it fails and the others run."""

    @functools.wraps(test)
    async def run(*arguments: object, **fixtures: object) -> None:
        try:
            async with asyncio.timeout(seconds):
                await test(*arguments, **fixtures)
        finally:
            await cut_what_was_left_open()

    return run


def not_run(marker: str) -> str:
    return f"{marker.upper()} TESTS NOT RUN"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """On a build machine a test that could not be run is a failure."""
    if missed(session.config) and os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """The run's last words, below pytest's own summary."""
    for marker, count in missed(config).items():
        print(f"{not_run(marker)}: {count}")
        print(f"To run them: {NEEDS[marker].remedy} && make test")


def missed(config: pytest.Config) -> Counter[str]:
    """How many tests were skipped for want of a program, by marker."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    reasons = [str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)]
    return Counter(
        marker for marker in NEEDS for reason in reasons if reason.endswith(not_run(marker))
    )


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """One real server for the whole test process. Who must hurt one starts a `Valkey` alone."""
    with Valkey() as server:
        yield server


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """The server's URL; no test leaves a key there."""
    return valkey.url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """An async client that speaks bytes, on an empty server."""
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture(autouse=True)
def no_key_is_left_for_ever(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that leaves a key without a TTL, unless store/keys.py lists it as permanent."""
    if "valkey" not in request.fixturenames:
        yield
        return
    server: Valkey = request.getfixturevalue("valkey")
    yield
    with server.client() as client:
        endless = {key.decode() for key in client.scan_iter(count=1000) if client.ttl(key) == -1}
        client.flushall()
    leaked = [key for key in sorted(endless) if not permanent(key)]
    assert not leaked, f"keys without a TTL that PERMANENT in store/keys.py does not list: {leaked}"


def permanent(key: str) -> bool:
    """Whether store/keys.py says that ``key`` may stay for ever."""
    from service.store.keys import PERMANENT

    return any(fnmatchcase(key, pattern) for pattern in PERMANENT)


@pytest.fixture
def eventually() -> Callable[..., Awaitable[object]]:
    """`await eventually(lambda: condition)`; see tests/support/eventually.py."""
    return eventually_true


@pytest.fixture
def free_port() -> int:
    """A free port of 127.0.0.1. Port 0 is better where the server tells its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
