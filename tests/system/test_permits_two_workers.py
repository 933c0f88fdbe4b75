"""Two worker processes, one Valkey, and an upstream in a third that counts for itself."""

import asyncio
import signal
import statistics
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest

from service.store.connection import Commands
from service.store.permit_office import PermitOffice
from service.store.permit_steps import Timing
from tests.support.permit_hammer import Account, Orders
from tests.support.sources import ROOT
from tests.support.valkey import Valkey

DISCONNECT_S = 0.2  # until the upstream notices a closed connection; less than the linger


@dataclass
class Upstream:
    """The provider: counts every request from its first byte until the provider itself is done."""

    tier: int
    open: int = 0
    most: int = 0
    started: int = 0
    over_tier: int = 0
    busy_s: float = 0.0  # seconds of all requests that have ended
    port: int = 0
    connections: set["Connection"] = field(default_factory=set)

    def begin(self) -> None:
        self.open += 1
        self.started += 1
        self.most = max(self.most, self.open)
        self.over_tier += self.open > self.tier

    def end(self, seconds: float) -> None:
        self.open -= 1
        self.busy_s += seconds


class Connection(asyncio.Protocol):
    """One caller's: a line with milliseconds is a request, "done" its answer."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._end: asyncio.TimerHandle | None = None
        self._begun = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._upstream.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._upstream.begin()
        self._begun = time.monotonic()
        self._end = asyncio.get_running_loop().call_later(int(data) / 1000, self._answer)

    def _answer(self) -> None:
        self._end = None
        self._upstream.end(time.monotonic() - self._begun)
        self.transport.write(b"done\n")

    def connection_lost(self, error: Exception | None) -> None:
        self._upstream.connections.discard(self)
        if self._end is not None:
            self._end.cancel()
            seconds = time.monotonic() - self._begun
            asyncio.get_running_loop().call_later(DISCONNECT_S, self._upstream.end, seconds)


@asynccontextmanager
async def upstream(tier: int) -> AsyncIterator[Upstream]:
    made = Upstream(tier)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(made), "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for connection in made.connections:
            connection.transport.abort()
        await server.wait_closed()


@pytest.fixture
def server() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@asynccontextmanager
async def hammer(orders: Orders) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.permit_hammer"),
        msgspec.json.encode(orders).decode(),
        cwd=ROOT, stdin=PIPE, stdout=PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def stop(process: Process) -> Account:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    output = await asyncio.wait_for(process.stdout.read(), 15)
    await process.wait()
    return msgspec.json.decode(output.splitlines()[-1], type=Account)


@asynccontextmanager
async def office(server: Valkey, timing: Timing) -> AsyncIterator[PermitOffice]:
    async with Commands.open(server.url, name="supervisor") as commands:
        await commands.wait_up()
        yield PermitOffice(commands, account="hammer", model="model", timing=timing)


async def test_two_processes_that_want_more_than_there_is_never_pass_the_tier(
    server: Valkey, eventually
):
    tier = 20
    async with upstream(tier) as provider:
        common = dict(url=server.url, tier=tier, upstream=provider.port, linger_s=0.5)
        greedy = dict(callers=40, hold_ms=(20, 80), cancelled=0.1)
        one = Orders(session="one", **common, **greedy)
        two = Orders(session="two", **common, **greedy, seed=2)
        async with hammer(one) as first, hammer(two) as second:
            await eventually(lambda: provider.open == tier, within=15, what="a full tier")
            begun, busy = time.monotonic(), provider.busy_s
            await eventually(lambda: provider.started > 800, within=20, what="800 requests")
            utilisation = (provider.busy_s - busy) / (time.monotonic() - begun) / tier
            accounts = await asyncio.gather(stop(first), stop(second))
        print(f"\n{provider.started} requests, at most {provider.most} of {tier} at once, "
              f"utilisation {utilisation:.1%}")  # fmt: skip
        assert (provider.most, provider.over_tier) == (tier, 0)
        assert utilisation > 0.6, "a tier that is wanted is used"
        assert all(account.served > 200 and account.cancelled > 20 for account in accounts)
        async with office(server, Timing(linger_s=0.5)) as supervisor:

            async def all_back() -> bool:
                await supervisor.step("", [0, "", 0, 0, *supervisor.timing.words()])
                state = await supervisor.state()
                return state.used == 0 and state.waiting == 0

            await eventually(all_back, what="nothing held after the end")


async def test_a_stopped_and_a_killed_worker_push_nobody_over_the_tier(server: Valkey, eventually):
    tier, lease_s, linger_s = 24, 1.0, 0.5
    async with upstream(tier) as provider:
        common = dict(
            url=server.url, tier=tier, upstream=provider.port, callers=30, lease_s=lease_s,
            linger_s=linger_s,
        )  # fmt: skip
        victim = Orders(session="victim", hold_ms=(400, 800), **common)
        other = Orders(session="other", hold_ms=(200, 400), **common)
        timing = Timing(linger_s, lease_s)
        async with (
            hammer(victim) as stopped,
            hammer(other) as running,
            office(server, timing) as supervisor,
        ):

            async def quarantined() -> int:
                return (await supervisor.state()).quarantined

            await eventually(lambda: provider.open == tier, within=15, what="a full tier")
            for session in ("victim", "other"):
                await eventually(_holds(supervisor, session, 6), what=f"permits of {session}")
            stopped.send_signal(signal.SIGSTOP)
            await eventually(quarantined, what="a quarantine")
            before = provider.started
            await eventually(lambda: provider.started > before + 10, what="the other goes on")
            stopped.send_signal(signal.SIGCONT)
            await eventually(_holds(supervisor, "victim", 3), what="the victim's return")
            stopped.kill()
            await stopped.wait()
            await supervisor.fence("victim")
            await eventually(lambda: provider.open == tier, what="all permits in use again")
            account = await stop(running)
        print(f"\nat most {provider.most} of {tier} at once, {account.served} served by the other")
        assert (provider.most, provider.over_tier) == (tier, 0)


def _holds(supervisor: PermitOffice, session: str, count: int):
    async def check() -> bool:
        sessions = (await supervisor.state()).sessions
        return (
            session in sessions
            and sessions[session].state == "live"
            and sessions[session].held >= count
        )

    return check


@pytest.mark.parametrize("stopped", [False, True], ids=["all awake", "one stopped"])
async def test_a_server_that_comes_back_empty_pushes_nobody_over_the_tier(
    server: Valkey, eventually, stopped: bool
):
    tier, linger_s = 20, 0.5
    async with upstream(tier) as provider:
        common = dict(
            url=server.url, tier=tier, upstream=provider.port, callers=30, linger_s=linger_s,
            hold_ms=(200, 1200),
        )  # fmt: skip
        one = Orders(session="one", **common)
        two = Orders(session="two", **common, seed=2)
        async with hammer(one) as first, hammer(two) as second:
            async with office(server, Timing(linger_s)) as supervisor:
                for session in ("one", "two"):
                    await eventually(_holds(supervisor, session, 4), within=15)
            await eventually(lambda: provider.started > 60, within=15)
            if stopped:
                first.send_signal(signal.SIGSTOP)
            server.kill()
            server.start()
            before = provider.started
            await eventually(lambda: provider.started > before + 8, within=15, what="going on")
            if stopped:
                first.send_signal(signal.SIGCONT)
                before = provider.started
            await eventually(lambda: provider.started > before + 60, within=15, what="at full pace")
            await asyncio.gather(stop(first), stop(second))
        print(f"\n{provider.started} requests, at most {provider.most} of {tier} at once")
        assert (provider.most, provider.over_tier) == (tier, 0)


async def test_at_a_steady_backlog_the_first_eta_is_right_within_a_quarter(
    server: Valkey, eventually
):
    """The median over all waits of |first ETA - real wait| / real wait."""
    tier = 20
    async with upstream(tier) as provider:
        common = dict(
            url=server.url, tier=tier, upstream=provider.port, callers=50, linger_s=0.2,
            hold_ms=(100, 500),
        )  # fmt: skip
        one = Orders(session="one", **common)
        two = Orders(session="two", **common, seed=2)
        async with hammer(one) as first, hammer(two) as second:
            await eventually(lambda: provider.started > 450, within=30, what="450 requests")
            accounts = await asyncio.gather(stop(first), stop(second))
    errors = []
    for account in accounts:
        steady = account.waits[70:]  # 50 callers begin at once; they learn nothing of the pace
        errors += [abs(eta - waited) / waited for eta, waited in steady]
    median = statistics.median(errors)
    ninth = statistics.quantiles(errors, n=10)[-1]
    waited = statistics.median(w for account in accounts for _, w in account.waits[70:])
    print(f"\nfirst ETA: median error {median:.1%}, p90 {ninth:.1%}, of {len(errors)} waits "
          f"(median {waited:g} ms)")  # fmt: skip
    assert len(errors) > 100
    assert median <= 0.25
