"""Two promises to customers, measured on Parley alone, because no peer makes them.

*A live turn is not kept waiting by background work.* Background callers want every permit there is,
for ever; live turns come as customers do, Poisson. What they wait is the reserve, the order of
classes, and how soon the next request of any kind ends.

*One address cannot buy itself the tier.* Fifty addresses with two requests outstanding each keep
the tier full; then one more comes that asks a hundred times as much as each of them.

Holds last 0.5 to 1.5 s, which is what short answers of a quick model last. All scenes are played at
once, each with a semaphore of its own, on one Valkey: they start 150 requests a second together.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import msgspec

from tests.bench.permits.measuring import overlap, percentile
from tests.bench.permits.orders import Flow, Scene, SceneReport
from tests.bench.permits.run import (
    CAPACITY,
    LEAD_S,
    POINTS,
    PROCESSES,
    START_S,
    WAITERS,
    WorkerFailed,
    empty,
    ready,
    worker,
)
from tests.bench.permits.scene_worker import AFTER_S
from tests.support.valkey import Valkey

HOLD_S = (0.5, 1.5)
LIVE_PER_S = 10.0
OTHERS = 50
OUTSTANDING = 2  # of each of the others
GREED = 100  # times as much
WARM_S = 4.0  # more than two holds of everybody

LIVE, BACKGROUND, GREEDY = "live", "background", "greedy"
FAIR = "fair"  # the scene of GREEDY without the greedy one


class SceneResult(msgspec.Struct):
    """Waits in ms. ``waits``: POINTS + 1 quantiles of those that the scene is about."""

    waited: int
    p50: float
    p95: float
    p99: float
    starts_per_s: float
    peak: int
    over: int
    waits: list[float] = []


def flows(scene: str, process: int) -> list[Flow]:
    """What one of the processes plays."""
    if scene == LIVE:
        return [
            Flow(LIVE, rate=LIVE_PER_S / PROCESSES),
            Flow(BACKGROUND, priority="background", outstanding=WAITERS),
        ]
    others = [
        Flow(f"other-{number}", outstanding=OUTSTANDING)
        for number in range(process, OTHERS, PROCESSES)
    ]
    if scene == GREEDY:
        return [*others, Flow(GREEDY, outstanding=GREED * OUTSTANDING // PROCESSES)]
    return others


async def play(server: Valkey, *, window_s: float, seed: int) -> dict[str, SceneResult]:
    """By scene: LIVE, GREEDY and FAIR."""
    empty(server)
    names = (LIVE, GREEDY, FAIR)
    scenes = [
        Scene(
            url=server.url, account=name, session=f"{name}-{process}", capacity=CAPACITY,
            flows=flows(name, process), hold_s=HOLD_S, warm_s=WARM_S, window_s=window_s, seed=seed,
        )
        for name in names
        for process in range(PROCESSES)
    ]  # fmt: skip
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(
                worker("tests.bench.permits.scene_worker", scene, scene.session)
            )
            for scene in scenes
        ]
        await ready(workers)
        begin = time.monotonic_ns() + round(LEAD_S * 1e9)
        within = WARM_S + window_s + AFTER_S + START_S
        lines = await asyncio.gather(*(one.ask(f"begin {begin}", within) for one in workers))
    reports = [msgspec.json.decode(line, type=SceneReport) for line in lines]
    by_scene: dict[str, list[SceneReport]] = {name: [] for name in names}
    for scene, report in zip(scenes, reports, strict=True):
        if report.failed:
            raise WorkerFailed(f"scene {scene.session}: {report.failed}")
        by_scene[scene.account].append(report)
    return {name: result(name, found, window_s) for name, found in by_scene.items()}


def result(name: str, reports: Sequence[SceneReport], window_s: float) -> SceneResult:
    about = LIVE if name == LIVE else "other-"
    waits = sorted(
        wait
        for report in reports
        for flow, found in report.waits.items()
        if flow.startswith(about)
        for wait in found
    )
    if not waits:
        raise WorkerFailed(f"scene {name}: nobody was served")
    holds = [hold for report in reports for hold in report.holds]
    counted = overlap(holds, CAPACITY)
    return SceneResult(
        waited=len(waits),
        p50=percentile(waits, 0.5),
        p95=percentile(waits, 0.95),
        p99=percentile(waits, 0.99),
        starts_per_s=len(holds) / (WARM_S + window_s + AFTER_S),
        peak=counted.peak,
        over=counted.over,
        waits=[percentile(waits, point / POINTS) for point in range(POINTS + 1)],
    )
