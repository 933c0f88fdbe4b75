"""The figures of a scenario beside those that were wanted."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tests.chaos.permits.scenarios import Scenario, Wanted
from tests.chaos.permits.stage import Stage


class Result(msgspec.Struct, kw_only=True):
    """What the upstream counted, what the permits and the workers say, and what misses.

    ``most``: requests at once. ``over``: requests that began while the tier was full. ``stalled``:
    requests at once that the upstream could not write to.
    ``used_after``, ``open_after``: permits and requests that still counted after everybody had
    drained. ``misses``: in words, what is not as wanted.
    """

    scenario: str
    title: str
    seed: int
    tier: int
    most: int
    over: int
    over_wanted: str
    starts: int
    stalled: int
    utilisation: float
    utilisation_wanted: float
    window_s: float
    used_after: int
    open_after: int
    answered: int
    given_up: int
    cut: int
    refused: dict[str, int]
    failed: dict[str, int]
    misses: list[str] = []


async def measured(scenario: Scenario, seed: int, stage: Stage) -> Result:
    """The figures of a scenario that was played and has drained."""
    used = await stage.used()
    counted = await stage.upstream.stats()
    window, accounts = stage.window, stage.accounts
    result = Result(
        scenario=scenario.name,
        title=scenario.title,
        seed=seed,
        tier=stage.tier,
        most=counted["max_concurrency"],
        over=counted["over_tier_starts"],
        over_wanted=scenario.wanted.said,
        starts=counted["starts"],
        stalled=max(sample.stalled for sample in stage.upstream.samples),
        utilisation=round(stage.upstream.utilisation(window.begin, window.end), 4),
        utilisation_wanted=scenario.wanted.utilisation,
        window_s=round(window.end - window.begin, 1),
        used_after=used,
        open_after=counted["concurrency"],
        answered=sum(account.answered for account in accounts),
        given_up=sum(account.given_up for account in accounts),
        cut=sum(account.cut for account in accounts),
        refused=_added(account.refused for account in accounts),
        failed=_added(account.failed for account in accounts),
    )
    result.misses = misses(result, scenario.wanted)
    return result


def misses(result: Result, wanted: Wanted) -> list[str]:
    """What is not as wanted; nothing where all is."""
    found = []
    if wanted.fault and result.over == 0:
        found.append("the built-in fault was not seen: no over-tier start")
    if not wanted.fault and (result.over > wanted.over or result.most > result.tier):
        found.append(f"{result.over} over-tier starts, {result.most} of {result.tier} at once")
    if result.utilisation < wanted.utilisation:
        found.append(f"utilisation {result.utilisation:.1%}, wanted {wanted.utilisation:.0%}")
    if result.used_after:
        found.append(f"{result.used_after} permits still used after all had drained")
    if result.open_after:
        found.append(f"{result.open_after} requests still open after all had drained")
    return found


def broken(scenario: Scenario, seed: int, tier: int, error: Exception) -> Result:
    """What is left to say of a scenario that came to no end."""
    why = f"it came to no end: {type(error).__name__}: {error}"
    return Result(
        scenario=scenario.name, title=scenario.title, seed=seed, tier=tier, most=0, over=0,
        over_wanted=scenario.wanted.said, starts=0, stalled=0, utilisation=0.0,
        utilisation_wanted=scenario.wanted.utilisation, window_s=0.0, used_after=0, open_after=0,
        answered=0, given_up=0, cut=0, refused={}, failed={}, misses=[why],
    )  # fmt: skip


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


HEAD = (
    "scenario",
    "most",
    "over-tier starts",
    "stalled",
    "utilisation",
    "over",
    "used after drain",
    "",
)


def table(results: Sequence[Result], not_run: Sequence[Scenario]) -> str:
    """Each scenario's figures, with what was wanted in brackets."""
    rows = [HEAD, *(_row(result) for result in results)]
    rows += [(scenario.title, *[""] * (len(HEAD) - 2), "not run") for scenario in not_run]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  ".join(
            word.ljust(width) if column == 0 else word.rjust(width)
            for column, (word, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _row(result: Result) -> tuple[str, ...]:
    return (
        result.title,
        f"{result.most} of {result.tier}",
        f"{result.over} ({result.over_wanted})",
        f"{result.stalled}",
        f"{result.utilisation:.1%} (>= {result.utilisation_wanted:.0%})",
        f"{result.window_s:g} s",
        f"{result.used_after} (0)",
        "MISSED" if result.misses else "ok",
    )
