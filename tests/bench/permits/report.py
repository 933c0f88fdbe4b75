"""What a run says on the terminal: a table a hold, what it has no room for, and the gates."""

from collections.abc import Iterable, Sequence

from tests.bench.permits.contenders import CONTENDERS, NOTHING
from tests.bench.permits.figures import LONG_MS, SHORT_MS, Figures, Gate, Row
from tests.bench.permits.scenes import FAIR, GREEDY, LIVE

HEADS = (
    *("", "in use", "peak", "over", "wait p50", "p95", "p99", "longest/p50"),
    *("CPU", "Valkey", "lost"),
)


def cells(row: Row) -> list[str]:
    waited = row.contender != NOTHING
    lost = "-" if row.leaked is None else f"{row.leaked}"
    if row.stuck:
        lost += f", {row.stuck} callers stuck"
    return [
        CONTENDERS[row.contender].title,
        f"{row.utilisation:.1%}",
        f"{row.peak}",
        f"{row.over}",
        *(
            f"{value:.1f}" if waited else "-"
            for value in (row.wait_p50, row.wait_p95, row.wait_p99)
        ),
        f"{row.longest_by_median:.2f}" if waited else "-",
        f"{row.cpu_us:.0f}" if waited else f"({row.cpu_us:.0f})",
        f"{row.valkey_us:.0f}",
        lost,
    ]


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Columns for a terminal: the first to the left, the others to the right."""
    wide = [max(len(line[place]) for line in table) for place in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, wide, strict=True))
        ).rstrip()
        for line in table
    ]


def tables(figures: Figures) -> Iterable[tuple[int, list[list[str]]]]:
    for hold_ms in (SHORT_MS, LONG_MS):
        rows = [cells(row) for row in figures.rows if row.hold_ms == hold_ms]
        yield hold_ms, [list(HEADS), *rows]


def spoken(figures: Figures) -> list[str]:
    """What the table has no room for."""
    live, greedy, fair = (figures.scenes[name] for name in (LIVE, GREEDY, FAIR))
    p50, p99 = figures.handover_ms
    said = [
        f"release to start, 500 ms holds: p50 {p50:.2f} ms, p99 {p99:.2f} ms "
        f"({figures.handovers} pairs of the script's log)",
        f"live turns under background: wait p50 {live.p50:.0f}, p95 {live.p95:.0f}, "
        f"p99 {live.p99:.0f} ms ({live.waited} turns)",
        f"others' wait with a greedy address: p50 {greedy.p50:.0f}, p95 {greedy.p95:.0f} ms; "
        f"without it {fair.p50:.0f} and {fair.p95:.0f} ms",
    ]
    return said + [
        f"{CONTENDERS[row.contender].title}: {row.errors} callers got an error while others gave "
        f"up, such as {row.error}"
        for row in figures.rows
        if row.errors
    ]


def verdict(gates: Sequence[Gate]) -> list[str]:
    table = [(g.name, g.found, g.wanted, "reached" if g.reached else "MISSED") for g in gates]
    return aligned([("gate", "found", "wanted", ""), *table])


def show(figures: Figures, gates: Sequence[Gate]) -> None:
    for hold_ms, table in tables(figures):
        print(f"\nHolds of {hold_ms} ms; waits in ms, CPU in us an acquire+release")
        print("\n".join(aligned(table)))
    print()
    print("\n".join(spoken(figures)))
    print()
    print("\n".join(verdict(gates)))
