"""The plot of a run: `.venv-bench/bin/python -m tests.bench.permits.plot permits.json`.

Writes permits.svg and permits.png beside it. Three panels: how full each semaphore keeps the tier,
how long its callers wait (a straight line up is a fair queue), and what an acquire+release costs.
"""

import json
import sys
from pathlib import Path
from typing import Any

COLOURS = {
    "parley": "#0b6e4f",
    "self-limiters": "#c1440e",
    "async-redis-rate-limiters": "#8e5ea2",
    "polled": "#d9a404",
    "slices": "#7a8791",
}
INK, PALE = "#20262b", "#d8dde1"
SIZE_IN = (14.0, 7.6)
DPI = 110  # of the PNG, for pages that show no SVG
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "permits",  # the same figures give the same file
}


def fill(axes: Any, rows: list[dict[str, Any]], hold_ms: int) -> None:
    names = [row["title"] for row in rows]
    values = [row["utilisation"] * 100 for row in rows]
    axes.barh(names, values, color=[COLOURS[row["contender"]] for row in rows], height=0.62)
    low = max(0.0, min(90.0, min(values) - 10))  # from where a difference can be seen
    axes.set_xlim(low, 100)
    for place, value in enumerate(values):
        axes.text(value, place, f"{value:.1f} ", va="center", ha="right", color="white")
    axes.invert_yaxis()
    axes.set_title(f"{hold_ms} ms holds: tier in use, %", loc="left", color=INK)


def waits(axes: Any, rows: list[dict[str, Any]], hold_ms: int) -> None:
    for row in rows:
        points = [max(value, 0.1) for value in row["waits"]]
        share = [place / (len(points) - 1) * 100 for place in range(len(points))]
        ours = row["contender"] == "parley"
        axes.plot(
            points, share, color=COLOURS[row["contender"]], label=row["title"],
            lw=2.6 if ours else 1.4, zorder=3 if ours else 2,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_ylim(0, 101)
    axes.grid(color=PALE, lw=0.6)
    axes.set_title(
        f"{hold_ms} ms holds: callers served within so many ms, %", loc="left", color=INK
    )


def costs(axes: Any, rows: list[dict[str, Any]], hold_ms: int) -> None:
    """Workers' and Valkey's CPU, one on the other."""
    rows = [row for row in rows if row["distributed"]]
    names = [row["title"] for row in rows]
    own = [max(0.0, row["cpu_us"]) for row in rows]
    theirs = [row["valkey_us"] for row in rows]
    axes.barh(names, own, color=[COLOURS[row["contender"]] for row in rows], height=0.62)
    axes.barh(names, theirs, left=own, color=PALE, height=0.62)
    most = max(a + b for a, b in zip(own, theirs, strict=True))
    for place, (one, two) in enumerate(zip(own, theirs, strict=True)):
        axes.text(one + two, place, f"  {one:.0f} + {two:.0f}", va="center", color=INK)
    axes.set_xlim(0, most * 1.35)
    axes.invert_yaxis()
    axes.set_title("CPU of a pair, us: workers + Valkey", loc="left", color=INK)


def draw(found: dict[str, Any], target: Path) -> None:
    import matplotlib  # type: ignore[import-not-found]  # in .venv-bench only

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update(STYLE)
    holds = sorted({row["hold_ms"] for row in found["rows"]})
    figure, grid = pyplot.subplots(
        len(holds), 3, figsize=SIZE_IN, layout="constrained", squeeze=False
    )
    for line, hold_ms in zip(grid, holds, strict=True):
        rows = [
            row
            for row in found["rows"]
            if row["hold_ms"] == hold_ms and row["contender"] in COLOURS
        ]
        fill(line[0], rows, hold_ms)
        waits(line[1], rows, hold_ms)
        costs(line[2], rows, hold_ms)
    grid[0][1].legend(frameon=False, fontsize=8, loc="upper left")
    load = found["load"]
    figure.suptitle(
        f"{load['processes']} processes of {load['waiters']} waiters, capacity {load['capacity']}, "
        f"one Valkey; {found['machine']['processor']}, {found['machine']['cores']} cores",
        color=INK, x=0.01, ha="left",
    )  # fmt: skip
    figure.savefig(target.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(target.with_suffix(".png"), dpi=DPI)


if __name__ == "__main__":
    source = Path(sys.argv[1])
    draw(json.loads(source.read_text("utf-8")), source)
