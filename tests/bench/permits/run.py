"""One contender under one load: two worker processes on the one Valkey, and what came of it."""

import asyncio
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import IO, Any

import msgspec

from service.store import keys
from tests.bench.environment import PYTHON, BenchError, tail, variables
from tests.bench.permits.contenders import ACCOUNT, MODEL, NOTHING, PARLEY, share
from tests.bench.permits.measuring import (
    Hold,
    Window,
    ended_within,
    handovers_ms,
    longest_ms,
    overlap,
    percentile,
    utilisation,
    waits_ms,
)
from tests.bench.permits.orders import Orders, Report
from tests.support.sources import ROOT
from tests.support.valkey import Valkey

PROCESSES = 2
WAITERS = 150  # in each process
CAPACITY = 50
LINE_BYTES = 64 * 1024 * 1024  # of a report; 20,000 holds are 1.5 MB
START_S = 20.0  # of a process, imports included, where two cores do much else
LEAD_S = 0.1  # from "begin" to the beginning, so that both processes begin together
POINTS = 200  # of a distribution that is kept for the plot


class WorkerFailed(BenchError):
    """A contender's process ended, or a caller of it got an error that it should not get."""


class Phases(msgspec.Struct, frozen=True):
    """Seconds. The first two holds, and more, are over before the window begins."""

    hold_ms: int
    warm_s: float
    window_s: float
    churn_s: float = 0.0

    @property
    def length_s(self) -> float:
        return self.warm_s + self.window_s + self.churn_s


class Result(msgspec.Struct):
    """Figures of one run. CPU in microseconds an acquire+release; waits in ms."""

    contender: str
    hold_ms: int
    utilisation: float
    peak: int
    over: int
    served: int
    wait_p50: float
    wait_p95: float
    wait_p99: float
    longest_by_median: float
    cpu_us: float
    valkey_us: float
    waits: list[float] = []  # POINTS + 1 quantiles, 0 to 1
    cancelled: int = 0
    stuck: int = 0
    errors: int = 0
    error: str = ""
    leaked: int | None = None  # None: this run ended without a drain
    rows_left: int | None = None  # what Parley still counts after the drain
    handovers: list[float] = []


class Worker:
    """A process, and its lines."""

    def __init__(self, process: Process, name: str, errors: IO[bytes]) -> None:
        self._process = process
        self._name = name
        self._errors = errors

    async def ask(self, words: str, within: float) -> bytes:
        """Raises WorkerFailed where no answer comes in so many seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(words.encode() + b"\n")
        return await self.line(within)

    async def line(self, within: float) -> bytes:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(within):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise WorkerFailed(f"{self._name} says nothing for {within:.0f} s") from None
        if not line:
            self._errors.seek(0)
            said = self._errors.read().decode("utf-8", "replace")
            raise WorkerFailed(f"{self._name} ended by itself\n{tail(said)}")
        return line


@asynccontextmanager
async def worker(module: str, orders: msgspec.Struct, name: str) -> AsyncIterator[Worker]:
    """A process of .venv-bench that runs ``module``. It ends with the context."""
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            *(PYTHON, "-m", module, msgspec.json.encode(orders).decode()),
            cwd=ROOT, env=variables(), stdin=PIPE, stdout=PIPE, stderr=errors, limit=LINE_BYTES,
        )  # fmt: skip
        try:
            yield Worker(process, name, errors)
            process.stdin.write(b"end\n")  # type: ignore[union-attr]  # it is a pipe
            async with asyncio.timeout(START_S):
                await process.wait()
        except TimeoutError:
            raise WorkerFailed(f"{name} does not end") from None
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def ready(workers: Sequence[Worker]) -> None:
    """All of them, which start side by side."""
    for one in workers:
        await one.line(START_S)


def empty(server: Valkey) -> None:
    with server.client() as client:
        client.flushall()
        client.config_resetstat()


def valkey_cpu_s(client: Any) -> float:
    found = client.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


async def valkey_over(server: Valkey, begin: int, phases: Phases) -> tuple[Window, float]:
    """The window as the parent kept it, and the server's CPU seconds in it."""
    with server.client() as client:
        await asyncio.sleep((begin - time.monotonic_ns()) / 1e9 + phases.warm_s)
        began, before = time.monotonic_ns(), valkey_cpu_s(client)
        await asyncio.sleep(phases.window_s)
        return (began, time.monotonic_ns()), valkey_cpu_s(client) - before


async def run(
    server: Valkey, name: str, phases: Phases, *, seed: int, logged: bool = False
) -> Result:
    """Raises WorkerFailed."""
    empty(server)
    orders = [
        Orders(
            url=server.url, contender=name, session=f"worker-{number}", capacity=CAPACITY,
            processes=PROCESSES, waiters=CAPACITY // PROCESSES if name == NOTHING else WAITERS,
            hold_ms=phases.hold_ms, warm_s=phases.warm_s, window_s=phases.window_s,
            churn_s=phases.churn_s, logged=logged, seed=seed,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(
                worker("tests.bench.permits.worker", one, f"{name} {one.session}")
            )
            for one in orders
        ]
        await ready(workers)
        begin = time.monotonic_ns() + round(LEAD_S * 1e9)
        within = phases.length_s + START_S
        watching = asyncio.create_task(valkey_over(server, begin, phases))
        lines = await asyncio.gather(*(one.ask(f"begin {begin}", within) for one in workers))
        window, valkey_s = await watching
        reports = [msgspec.json.decode(line, type=Report) for line in lines]
        for report in reports:
            if report.failed:
                raise WorkerFailed(f"{name}: {report.failed}")
        result = summary(name, phases, reports, window, valkey_s)
        if phases.churn_s:
            await count_what_is_left(server, result, workers)
        if logged:
            result.handovers = read_log(server, reports)
    return result


def summary(
    name: str, phases: Phases, reports: Sequence[Report], window: Window, valkey_s: float
) -> Result:
    holds: list[Hold] = sorted(hold for report in reports for hold in report.holds)
    inside = max(r.window[0] for r in reports), min(r.window[1] for r in reports)
    waits = waits_ms(holds, inside)
    if not waits:
        raise WorkerFailed(f"{name}: nobody was served within {phases.window_s:g} s")
    waiting = [asked for report in reports for asked in report.waiting]
    served = sum(ended_within(report.holds, report.window) for report in reports)
    counted = overlap(holds, CAPACITY)
    middle = percentile(waits, 0.5)
    return Result(
        contender=name,
        hold_ms=phases.hold_ms,
        utilisation=utilisation(holds, inside, capacity=CAPACITY),
        peak=counted.peak,
        over=counted.over,
        served=served,
        wait_p50=middle,
        wait_p95=percentile(waits, 0.95),
        wait_p99=percentile(waits, 0.99),
        longest_by_median=longest_ms(waits, waiting, inside) / middle if middle else 0.0,
        cpu_us=sum(report.cpu_s for report in reports) / served * 1e6,
        valkey_us=valkey_s / max(1, ended_within(holds, window)) * 1e6,
        waits=[percentile(waits, point / POINTS) for point in range(POINTS + 1)],
        cancelled=sum(report.cancelled for report in reports),
        stuck=sum(report.stuck for report in reports),
        errors=sum(report.errors for report in reports),
        error=next((report.error for report in reports if report.error), ""),
    )


async def count_what_is_left(server: Valkey, result: Result, workers: Sequence[Worker]) -> None:
    """After the drain nobody has a permit; each process in turn must be able to have them all."""
    name = result.contender
    if name == PARLEY:
        with server.client() as client:
            result.rows_left = client.hlen(keys.permits(ACCOUNT, MODEL).permits)
    if name == NOTHING:
        return
    wanted = share(name, CAPACITY, PROCESSES)
    got = [int(await one.ask("probe", START_S)) for one in workers]
    result.leaked = max(wanted - count for count in got)


def read_log(server: Valkey, reports: Sequence[Report]) -> list[float]:
    """From release to start, ms, of the windows of the processes."""
    prefix = keys.permits(ACCOUNT, MODEL).meta.removesuffix("meta")
    with server.client() as client:
        log = [line.decode() for line in client.lrange(f"{prefix}log", 0, -1)]
    holds = {
        permit: hold
        for report in reports
        for permit, hold in zip(report.ids, report.holds, strict=True)
    }
    window = max(r.window[0] for r in reports), min(r.window[1] for r in reports)
    found = handovers_ms(log, holds, window, CAPACITY)
    if not found:
        raise WorkerFailed("the script's log pairs no release with a grant")
    return found
