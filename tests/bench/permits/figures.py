"""What is reached: the figures of all runs, and the gates that they must pass. Pure.

Of repeats the median counts, but of what must never happen the worst: the highest peak, every start
over the tier, the most permits lost.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from tests.bench.permits.contenders import CONTENDERS, NOTHING, PARLEY, PEERS
from tests.bench.permits.measuring import percentile
from tests.bench.permits.run import Result
from tests.bench.permits.scenes import FAIR, GREEDY, LIVE, SceneResult

SHORT_MS, LONG_MS = 20, 500
FILL_SHORT, FILL_LONG = 0.93, 0.99  # utilisation
HANDOVER_P50_MS, HANDOVER_P99_MS = 1.0, 5.0
LONGEST_BY_MEDIAN = 1.5
CPU_BY_CHEAPEST = 0.65
LIVE_P99_MS = 300.0
OTHERS_P95_RATIO = 1.2


class Row(msgspec.Struct, frozen=True):
    """One contender at one hold. CPU is net of what the bench itself costs without a semaphore."""

    contender: str
    hold_ms: int
    repeats: int
    utilisation: float
    peak: int
    over: int
    wait_p50: float
    wait_p95: float
    wait_p99: float
    longest_by_median: float
    cpu_us: float
    valkey_us: float
    cancelled: int
    stuck: int
    errors: int
    error: str
    leaked: int | None
    waits: list[float]


class Figures(msgspec.Struct, frozen=True):
    """``handover_ms``: p50 and p99, each the median of the repeats."""

    rows: list[Row]
    handover_ms: tuple[float, float]
    handovers: int
    scenes: dict[str, SceneResult]
    bench_cpu_us: dict[str, float]  # by hold: what was taken off

    def row(self, contender: str, hold_ms: int) -> Row:
        return next(r for r in self.rows if (r.contender, r.hold_ms) == (contender, hold_ms))


class Gate(msgspec.Struct, frozen=True):
    name: str
    found: str
    wanted: str
    reached: bool


def worst(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)


def quantiles(runs: Sequence[Result]) -> list[float]:
    return [statistics.median(at) for at in zip(*(run.waits for run in runs), strict=True)]


def row(runs: Sequence[Result], bench_cpu_us: float) -> Row:
    """Of one contender's repeats at one hold."""

    def middle(of: Callable[[Result], float]) -> float:
        return statistics.median(of(run) for run in runs)

    first = runs[0]
    own = 0.0 if first.contender == NOTHING else bench_cpu_us
    return Row(
        contender=first.contender,
        hold_ms=first.hold_ms,
        repeats=len(runs),
        utilisation=middle(lambda run: run.utilisation),
        peak=max(run.peak for run in runs),
        over=sum(run.over for run in runs),
        wait_p50=middle(lambda run: run.wait_p50),
        wait_p95=middle(lambda run: run.wait_p95),
        wait_p99=middle(lambda run: run.wait_p99),
        longest_by_median=middle(lambda run: run.longest_by_median),
        cpu_us=middle(lambda run: run.cpu_us) - own,
        valkey_us=middle(lambda run: run.valkey_us),
        cancelled=sum(run.cancelled for run in runs),
        stuck=max(run.stuck for run in runs),
        errors=sum(run.errors for run in runs),
        error=next((run.error for run in runs if run.error), ""),
        leaked=worst(leak for run in runs for leak in (run.leaked, run.rows_left)),
        waits=quantiles(runs),
    )


def collect(
    runs: Iterable[Result], logged: Sequence[Result], scenes: Mapping[str, SceneResult]
) -> Figures:
    """``logged``: the runs of Parley with the script's log, which are no row of the table."""
    groups: dict[tuple[str, int], list[Result]] = {}
    for run in runs:
        groups.setdefault((run.contender, run.hold_ms), []).append(run)
    bench = {
        hold_ms: statistics.median(run.cpu_us for run in found)
        for (name, hold_ms), found in groups.items()
        if name == NOTHING
    }
    return Figures(
        rows=[
            row(groups[name, hold_ms], bench[hold_ms])
            for hold_ms in sorted(bench)
            for name in CONTENDERS
            if (name, hold_ms) in groups
        ],
        handover_ms=(
            statistics.median(percentile(run.handovers, 0.5) for run in logged),
            statistics.median(percentile(run.handovers, 0.99) for run in logged),
        ),
        handovers=sum(len(run.handovers) for run in logged),
        scenes=dict(scenes),
        bench_cpu_us={str(hold_ms): cost for hold_ms, cost in bench.items()},
    )


# -- gates ----------------------------------------------------------------------------------


def gates(figures: Figures, logged: Sequence[Result] = ()) -> list[Gate]:
    """Every figure that was promised, reached or missed."""
    over = sum(figures.row(PARLEY, hold).over for hold in (SHORT_MS, LONG_MS))
    over += sum(scene.over for scene in figures.scenes.values())
    over += sum(run.over for run in logged)
    short = figures.row(PARLEY, SHORT_MS)
    left = -1 if short.leaked is None else short.leaked
    return [
        *full(figures, SHORT_MS, FILL_SHORT),
        *full(figures, LONG_MS, FILL_LONG),
        at_most("release to start, p50", figures.handover_ms[0], HANDOVER_P50_MS, " ms"),
        at_most("release to start, p99", figures.handover_ms[1], HANDOVER_P99_MS, " ms"),
        *(
            at_most(
                f"longest / median wait, {hold} ms",
                figures.row(PARLEY, hold).longest_by_median,
                LONGEST_BY_MEDIAN,
            )
            for hold in (SHORT_MS, LONG_MS)
        ),
        *(cheap(figures, hold) for hold in (SHORT_MS, LONG_MS)),
        Gate("starts over the tier, a tenth cancelled", f"{over}", "0", over == 0),
        Gate(f"permits lost after {short.cancelled} cancellations", f"{left}", "0", left == 0),
        *promises(figures.scenes),
    ]


def at_most(name: str, found: float, wanted: float, unit: str = "") -> Gate:
    return Gate(name, f"{found:.2f}{unit}", f"<= {wanted:g}{unit}", found <= wanted)


def full(figures: Figures, hold_ms: int, wanted: float) -> list[Gate]:
    """Full enough, and fuller than each peer keeps it."""
    ours = figures.row(PARLEY, hold_ms).utilisation
    best = max((figures.row(peer, hold_ms) for peer in PEERS), key=lambda r: r.utilisation)
    name = f"utilisation, {hold_ms} ms"
    return [
        Gate(name, f"{ours:.1%}", f">= {wanted:.0%}", ours >= wanted),
        Gate(
            f"{name}, against the best peer",
            f"{ours:.2%}",
            f"> {best.utilisation:.2%} ({CONTENDERS[best.contender].title})",
            ours > best.utilisation,
        ),
    ]


def cheap(figures: Figures, hold_ms: int) -> Gate:
    ours = figures.row(PARLEY, hold_ms).cpu_us
    peer = min((figures.row(peer, hold_ms) for peer in PEERS), key=lambda r: r.cpu_us)
    ratio = ours / peer.cpu_us if peer.cpu_us > 0 else float("inf")
    return Gate(
        f"CPU an acquire+release, {hold_ms} ms",
        f"{ratio:.2f} x",
        f"<= {CPU_BY_CHEAPEST:g} x {CONTENDERS[peer.contender].title} ({peer.cpu_us:.0f} us)",
        ratio <= CPU_BY_CHEAPEST,
    )


def promises(scenes: Mapping[str, SceneResult]) -> list[Gate]:
    ratio = scenes[GREEDY].p95 / scenes[FAIR].p95
    return [
        at_most("live turn's wait under background, p99", scenes[LIVE].p99, LIVE_P99_MS, " ms"),
        at_most("others' p95 wait with a greedy address", ratio, OTHERS_P95_RATIO, " x"),
    ]
