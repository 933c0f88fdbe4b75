"""`python -m tests.bench --only permits`: Parley's permits against what else there is.

One Valkey, all contenders in turn, several times over, so that a minute in which the machine does
something else falls on all of them. Then Parley alone: from release to start by the script's own
log, and two promises to customers (scenes.py). The figures are this machine's; the ratios travel.
"""

import asyncio
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.bench.environment import ensure, machine, versions
from tests.bench.permits.contenders import CONTENDERS, NOTHING, PARLEY
from tests.bench.permits.figures import LONG_MS, SHORT_MS, collect, gates
from tests.bench.permits.page import write
from tests.bench.permits.report import show
from tests.bench.permits.run import Phases, Result, run
from tests.bench.permits.scenes import SceneResult, play
from tests.support.sources import ROOT
from tests.support.valkey import Valkey

PUBLISHED = ROOT / "docs" / "benchmarks"
UNPUBLISHED = ROOT / "test-results" / "bench"  # a quick run's figures are worth no page
PACKAGES = ("redis", "hiredis", "uvloop", "self-limiters", "async-redis-rate-limiters")


class Plan(msgspec.Struct, frozen=True):
    """Repeats, and seconds of each part."""

    repeats: int
    short: Phases
    long: Phases
    scenes_s: float


# About 5.5 and 1.3 minutes. At 500 ms the first round of waiters is served by 1.5 s.
FULL = Plan(3, Phases(SHORT_MS, 0.6, 2.4, 1.2), Phases(LONG_MS, 2.6, 4.6), 28.0)
QUICK = Plan(1, Phases(SHORT_MS, 0.4, 1.2, 0.8), Phases(LONG_MS, 1.6, 2.6), 6.0)


class Run(msgspec.Struct, frozen=True):
    contender: str
    phases: Phases
    seed: int
    logged: bool = False


def schedule(plan: Plan, seed: int) -> list[Run]:
    """Every run in its order: in each repeat all contenders, in an order drawn anew."""
    order = random.Random(seed)
    return [one for repeat in range(plan.repeats) for one in round_of(plan, seed + repeat, order)]


def round_of(plan: Plan, seed: int, order: random.Random) -> Iterator[Run]:
    for phases in (plan.short, plan.long):
        names = list(CONTENDERS)
        order.shuffle(names)
        for name in names:
            yield Run(name, calm(phases) if name == NOTHING else phases, seed)
    yield Run(PARLEY, plan.long, seed, logged=True)


def calm(phases: Phases) -> Phases:
    """Without a semaphore nobody waits: nothing warms up, and nobody gives up."""
    return msgspec.structs.replace(phases, warm_s=2 * phases.hold_ms / 1000, churn_s=0.0)


def remark(result: Result) -> str:
    said = f"{result.utilisation:6.1%} in use, peak {result.peak}"
    said += f", wait p50 {result.wait_p50:.1f} p99 {result.wait_p99:.1f} ms"
    return said if result.leaked is None else f"{said}, {result.leaked} lost"


async def measure(
    server: Valkey, plan: Plan, seed: int
) -> tuple[list[Result], list[Result], dict[str, SceneResult]]:
    """Raises WorkerFailed."""
    runs = schedule(plan, seed)
    results: list[Result] = []
    logged: list[Result] = []
    for number, one in enumerate(runs, 1):
        title = CONTENDERS[one.contender].title + (", logged" if one.logged else "")
        label = f"[{number}/{len(runs) + 1}] {one.phases.hold_ms} ms  {title} … "
        print(label, end="", flush=True)
        result = await run(server, one.contender, one.phases, seed=one.seed, logged=one.logged)
        (logged if one.logged else results).append(result)
        print(remark(result), flush=True)
    print(f"[{len(runs) + 1}/{len(runs) + 1}] promises to customers … ", end="", flush=True)
    scenes = await play(server, window_s=plan.scenes_s, seed=seed)
    print(f"{sum(scene.waited for scene in scenes.values())} waits", flush=True)
    return results, logged, scenes


def main(*, quick: bool, seed: int, out: Path | None) -> int:
    """Exit code: 0 if every gate was reached. Raises BenchError where nothing can be measured."""
    began = time.monotonic()
    plan = QUICK if quick else FULL
    modules = [module for one in CONTENDERS.values() for module in one.modules]
    ensure([*modules, "matplotlib"])
    context = {"machine": machine(), "seed": seed, "repeats": plan.repeats, "quick": quick}
    with Valkey() as server:
        with server.client() as client:
            valkey = str(client.info("server")["valkey_version"])
        context["versions"] = versions(PACKAGES) | {"Valkey": valkey}
        results, logged, scenes = asyncio.run(measure(server, plan, seed))
    figures = collect(results, logged, scenes)
    verdicts = gates(figures, logged)
    show(figures, verdicts)
    files = write(out or (UNPUBLISHED if quick else PUBLISHED), figures, verdicts, context)
    print(f"\n{time.monotonic() - began:.0f} s; {', '.join(map(shown, files))}")
    missed = [gate.name for gate in verdicts if not gate.reached]
    if missed:
        print(f"MISSED: {'; '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def shown(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
