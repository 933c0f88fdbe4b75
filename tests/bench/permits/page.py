"""What a run leaves: permits.json, its plot, and the page docs/benchmarks/permits.md."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.environment import PYTHON, BenchError, run, tail
from tests.bench.permits.contenders import CONTENDERS, PEERS
from tests.bench.permits.figures import LONG_MS, SHORT_MS, Figures, Gate
from tests.bench.permits.polled import FIRST_S, LAST_S
from tests.bench.permits.report import spoken, tables
from tests.bench.permits.run import CAPACITY, PROCESSES, WAITERS
from tests.bench.permits.scenes import HOLD_S, LIVE_PER_S
from tests.bench.permits.worker import SPREAD

# How to read the page; the names in braces are filled in by `reading`.
NOTES = """\
{processes} processes of {waiters} callers each share {capacity} permits on one Valkey, over its
unix socket. A caller asks again as soon as it was served; its holds differ by up to {spread:.0%}
either way. All processes run the same Python, uvloop and redis-py.

- **In use**: the part of the capacity that requests used; what a worker notices late counts as
  idle. **Peak** and **over**: the most holds at once, and the starts beyond the capacity, from
  the lists of all processes, merged afterwards: no semaphore is asked.
- **Wait**: ms from asking to having, after the first two holds and more. **Longest**: who still
  waits at the end counts, too. Every caller is a flow of its own.
- **CPU**: of the workers, in microseconds an acquire+release, less the {short:.0f} ({long:.0f} at
  {long_ms} ms) of the same loop without a semaphore, which stands in brackets. **Valkey**: the
  server's.
- **Lost**: permits that nobody can have any more after a tenth of the callers gave up at random
  moments and all others were served, the most in any repeat; `stuck` callers were never served
  after it.
- *Sorted set, polled* is Stripe's limiter, asked again after {first:.0f} ms, doubling to
  {last:.0f} ms, half of it drawn. *Slices* give each process its share, know nothing of each
  other, and stand here for reference: where all callers are in one process they leave {idle:.0%}
  idle. The gates compare with {peers}.
- Live turns came Poisson, {rate:g} a second, with holds of {least:g} to {most:g} s, while
  background callers wanted everything. The others of a greedy address were 50 with two requests
  outstanding each.
"""


def write(
    out: Path, figures: Figures, gates: Sequence[Gate], context: Mapping[str, Any]
) -> list[Path]:
    """All of it, in ``out``. ``context``: machine, versions, seed and repeats of the run."""
    out.mkdir(parents=True, exist_ok=True)
    found = msgspec.to_builtins(figures)
    for row in found["rows"]:
        contender = CONTENDERS[row["contender"]]
        row["title"], row["distributed"] = contender.title, contender.distributed
    load = {"processes": PROCESSES, "waiters": WAITERS, "capacity": CAPACITY}
    whole = dict(context) | {"load": load} | found | {"gates": msgspec.to_builtins(list(gates))}
    source = out / "permits.json"
    source.write_text(json.dumps(rounded(whole), indent=1) + "\n", "utf-8")
    done = run(PYTHON, "-m", "tests.bench.permits.plot", source.resolve())
    if done.returncode != 0:
        raise BenchError(f"the plot could not be drawn\n{tail(done.stderr)}")
    (out / "permits.md").write_text(page(figures, gates, context), "utf-8")
    return [source.with_suffix(suffix) for suffix in (".json", ".svg", ".png", ".md")]


def rounded(value: Any) -> Any:
    """Four decimals say all that was measured, and keep the file small."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return value


def markdown(table: Sequence[Sequence[str]]) -> list[str]:
    head, *rows = table
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def page(figures: Figures, gates: Sequence[Gate], context: Mapping[str, Any]) -> str:
    machine, versions = context["machine"], context["versions"]
    verdicts = [[g.name, g.found, g.wanted, "yes" if g.reached else "**no**"] for g in gates]
    lines = [
        "# Permits against other semaphores",
        "",
        "<!-- Written by the bench; run it again instead of editing. -->",
        "",
        f"`make bench ONLY=permits` on {machine['date']}: {machine['processor']}, "
        f"{machine['cores']} cores, {machine['system']}. "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f". Median of {context['repeats']} repeats, contenders in turn, seed {context['seed']}.",
        "",
        "![How full, how fair, how dear](permits.svg)",
        "",
    ]
    for hold_ms, table in tables(figures):
        lines += [f"## Holds of {hold_ms} ms", "", *markdown(table), ""]
    lines += [*(f"- {said}" for said in spoken(figures)), ""]
    lines += ["## Wanted and found", ""]
    lines += [*markdown([["", "found", "wanted", "reached"], *verdicts]), ""]
    lines += ["## How to read this", "", reading(figures)]
    return "\n".join(lines)


def reading(figures: Figures) -> str:
    return NOTES.format(
        processes=PROCESSES,
        waiters=WAITERS,
        capacity=CAPACITY,
        spread=SPREAD,
        short=figures.bench_cpu_us[str(SHORT_MS)],
        long=figures.bench_cpu_us[str(LONG_MS)],
        long_ms=LONG_MS,
        first=FIRST_S * 1000,
        last=LAST_S * 1000,
        idle=1 - 1 / PROCESSES,
        peers=", ".join(CONTENDERS[name].title for name in PEERS),
        rate=LIVE_PER_S,
        least=HOLD_S[0],
        most=HOLD_S[1],
    )
