"""The bench's own arithmetic: what follows from lists of holds, and when a gate is reached."""

import asyncio
import json
import time

import msgspec
import pytest

from tests.bench import __main__ as bench
from tests.bench import environment
from tests.bench.permits.bench import FULL, QUICK, schedule
from tests.bench.permits.contenders import CONTENDERS, NOTHING, PARLEY, PEERS, share
from tests.bench.permits.figures import LONG_MS, SHORT_MS, Figures, collect, gates
from tests.bench.permits.measuring import (
    handovers_ms,
    longest_ms,
    overlap,
    pairs,
    percentile,
    utilisation,
    waits_ms,
)
from tests.bench.permits.orders import MS
from tests.bench.permits.page import page, rounded
from tests.bench.permits.polled import PolledSemaphore
from tests.bench.permits.report import aligned, tables, verdict
from tests.bench.permits.run import Result
from tests.bench.permits.scenes import FAIR, GREEDY, LIVE, OUTSTANDING, SceneResult, flows
from tests.bench.permits.upstream import Upstream

# -- holds ----------------------------------------------------------------------------------


def hold(started: int, ended: int, *, asked: int = 0, due: int = 0) -> tuple[int, int, int, int]:
    return (asked or started, started, due or ended, ended)


def test_holds_of_two_processes_that_overlap_are_counted_together():
    one = [hold(0, 10), hold(10, 20)]
    two = [hold(5, 15), hold(5, 25)]
    counted = overlap(one + two, capacity=2)
    assert (counted.peak, counted.over) == (3, 2)


def test_a_start_at_the_very_moment_of_an_end_does_not_overlap_it():
    assert overlap([hold(0, 10), hold(10, 20)], capacity=1).peak == 1


def test_every_start_beyond_the_capacity_counts():
    counted = overlap([hold(at, 100) for at in range(5)], capacity=2)
    assert (counted.peak, counted.over) == (5, 3)


def test_a_hold_of_no_length_counts_as_one():
    assert overlap([hold(3, 3)], capacity=1).peak == 1


def test_what_a_worker_notices_late_is_no_use():
    late = [hold(0, 15, due=10), hold(15, 25, due=25)]
    assert utilisation(late, (0, 25), capacity=1) == pytest.approx(20 / 25)


def test_a_hold_that_is_cut_short_counts_for_as_long_as_it_was():
    assert utilisation([hold(0, 4, due=10)], (0, 10), capacity=1) == pytest.approx(0.4)


def test_only_what_lies_within_the_window_is_use():
    around = [hold(-5, 5), hold(95, 105), hold(200, 210)]
    assert utilisation(around, (0, 100), capacity=2) == pytest.approx(10 / 200)


def test_the_longest_wait_may_be_one_that_has_not_ended():
    waits = waits_ms([hold(4 * MS, 5 * MS, asked=1 * MS)], (0, 10 * MS))
    assert waits == [3.0]
    assert longest_ms(waits, [], (0, 10 * MS)) == 3.0
    assert longest_ms(waits, [2 * MS], (0, 10 * MS)) == 8.0


@pytest.mark.parametrize(("at", "value"), [(0.0, 1), (0.5, 3), (1.0, 5), (0.25, 2), (0.9, 4.6)])
def test_percentiles_lie_between_the_nearest_values(at, value):
    assert percentile([1, 2, 3, 4, 5], at) == pytest.approx(value)


def test_there_is_no_percentile_of_nothing():
    with pytest.raises(ValueError):
        percentile([], 0.5)


# -- the script's log ------------------------------------------------------------------------

LOG = ["grant a", "grant b", "release a", "grant c", "release c", "release b", "grant d", "grant e"]


def test_the_grants_that_fill_the_semaphore_follow_from_no_release():
    assert pairs(LOG, capacity=2) == [("a", "c"), ("c", "d"), ("b", "e")]


def test_a_log_that_grants_what_is_not_free_is_refused():
    with pytest.raises(ValueError, match="grants c"):
        pairs(["grant a", "grant b", "grant c"], capacity=2)


def test_a_handover_is_from_the_end_of_a_hold_to_the_start_that_it_made_possible():
    holds = {
        "a": hold(0, 10 * MS),
        "b": hold(0, 40 * MS),
        "c": hold(11 * MS, 30 * MS),
        "d": hold(30 * MS + MS // 2, 60 * MS),
    }  # "e" has not ended
    assert handovers_ms(LOG, holds, (0, 100 * MS), 2) == [0.5, 1.0]
    assert handovers_ms(LOG, holds, (20 * MS, 100 * MS), 2) == [0.5]


# -- figures and gates -----------------------------------------------------------------------


def result(contender: str, hold_ms: int, **other: object) -> Result:
    usual: dict[str, object] = {
        "utilisation": 0.90, "peak": 50, "over": 0, "served": 1000, "wait_p50": 100.0,
        "wait_p95": 110.0, "wait_p99": 115.0, "longest_by_median": 1.2, "cpu_us": 220.0,
        "valkey_us": 40.0, "waits": [0.0, 100.0, 120.0], "leaked": 0,
    }  # fmt: skip
    return Result(contender=contender, hold_ms=hold_ms, **(usual | other))  # type: ignore[arg-type]


def scene(p95: float, p99: float = 200.0, over: int = 0) -> SceneResult:
    return SceneResult(100, 50.0, p95, p99, 50.0, 50, over)


SCENES = {LIVE: scene(120.0), GREEDY: scene(1100.0), FAIR: scene(1000.0)}
GOOD = {"utilisation": 0.995, "cpu_us": 100.0, "cancelled": 80, "rows_left": 0}


def figures(ours: dict[str, object] | None = None, scenes: dict[str, SceneResult] | None = None):
    """Figures that reach every gate, but for what is given."""
    runs = []
    for hold_ms in (SHORT_MS, LONG_MS):
        for name in CONTENDERS:
            if name == PARLEY:
                runs.append(result(name, hold_ms, **(GOOD | (ours or {}))))
            elif name == NOTHING:
                runs.append(result(name, hold_ms, cpu_us=20.0))
            else:
                runs.append(result(name, hold_ms))
    logged = [result(PARLEY, LONG_MS, handovers=[0.4, 0.6, 0.8, 4.0])]
    return collect(runs, logged, SCENES | (scenes or {}))


def missed(found: Figures) -> list[str]:
    return [gate.name for gate in gates(found) if not gate.reached]


def test_good_figures_reach_every_gate():
    assert missed(figures()) == []


@pytest.mark.parametrize(
    ("ours", "names"),
    [
        ({"utilisation": 0.92}, {"utilisation, 20 ms", "utilisation, 500 ms"}),
        ({"utilisation": 0.98}, {"utilisation, 500 ms"}),
        ({"longest_by_median": 1.6}, {f"longest / median wait, {ms} ms" for ms in (20, 500)}),
        ({"cpu_us": 160.0}, {f"CPU an acquire+release, {ms} ms" for ms in (20, 500)}),
        ({"over": 1}, {"starts over the tier, a tenth cancelled"}),
        ({"leaked": 1}, {"permits lost after 80 cancellations"}),
        ({"rows_left": 1}, {"permits lost after 80 cancellations"}),
        ({"leaked": None, "rows_left": None}, {"permits lost after 80 cancellations"}),
    ],
)
def test_each_bad_figure_misses_its_gate_and_no_other(ours, names):
    assert set(missed(figures(ours))) == names


@pytest.mark.parametrize(
    ("scenes", "name"),
    [
        ({LIVE: scene(120.0, p99=301.0)}, "live turn's wait under background, p99"),
        ({GREEDY: scene(1201.0)}, "others' p95 wait with a greedy address"),
        ({FAIR: scene(1000.0, over=2)}, "starts over the tier, a tenth cancelled"),
    ],
)
def test_a_broken_promise_misses_its_gate(scenes, name):
    assert missed(figures(scenes=scenes)) == [name]


def test_a_peer_that_keeps_the_tier_fuller_is_a_gate_missed():
    found = figures({"utilisation": 0.995})
    fuller = [
        msgspec.structs.replace(row, utilisation=0.996) if row.contender == PEERS[-1] else row
        for row in found.rows
    ]
    names = missed(msgspec.structs.replace(found, rows=fuller))
    assert names == [f"utilisation, {ms} ms, against the best peer" for ms in (20, 500)]


def test_slices_are_shown_and_not_compared_with():
    assert not CONTENDERS["slices"].distributed and "slices" not in PEERS
    assert len(PEERS) == 3


def test_the_bench_takes_off_what_it_costs_itself_but_not_from_itself():
    found = figures()
    assert found.row(PARLEY, SHORT_MS).cpu_us == pytest.approx(80.0)
    assert found.row(NOTHING, SHORT_MS).cpu_us == pytest.approx(20.0)


def test_of_repeats_the_median_counts_and_of_what_must_not_happen_the_worst():
    runs = [result(PARLEY, SHORT_MS, utilisation=u, leaked=n, over=n) for u, n in
            ((0.9, 0), (0.95, 2), (0.96, 1))]  # fmt: skip
    runs.append(result(NOTHING, SHORT_MS))
    logged = [result(PARLEY, LONG_MS, handovers=[1.0])]
    row = collect(runs, logged, SCENES).row(PARLEY, SHORT_MS)
    assert (row.utilisation, row.leaked, row.over, row.repeats) == (0.95, 2, 3, 3)


# -- the run and what it leaves --------------------------------------------------------------


@pytest.mark.parametrize("plan", [FULL, QUICK], ids=["full", "quick"])
def test_contenders_take_turns_in_every_repeat(plan):
    runs = schedule(plan, seed=1)
    each = len(CONTENDERS) * 2 + 1
    assert len(runs) == plan.repeats * each
    for repeat in range(plan.repeats):
        part = runs[repeat * each : (repeat + 1) * each]
        assert {(one.contender, one.phases.hold_ms) for one in part if not one.logged} == {
            (name, ms) for name in CONTENDERS for ms in (SHORT_MS, LONG_MS)
        }
        assert [one.contender for one in part if one.logged] == [PARLEY]


def test_the_same_seed_gives_the_same_order():
    assert schedule(FULL, seed=7) == schedule(FULL, seed=7) != schedule(FULL, seed=8)


def test_the_greedy_address_asks_a_hundred_times_as_much_as_each_other():
    both = [*flows(GREEDY, 0), *flows(GREEDY, 1)]
    asking = {flow.name: 0 for flow in both}
    for flow in both:
        asking[flow.name] += flow.outstanding
    assert asking.pop(GREEDY) == 100 * OUTSTANDING
    assert set(asking.values()) == {OUTSTANDING} and len(asking) == 50
    assert not any(flow.name == GREEDY for flow in [*flows(FAIR, 0), *flows(FAIR, 1)])


def test_one_process_alone_may_have_all_permits_but_of_slices_its_own():
    assert share(PARLEY, 50, 2) == 50
    assert share("slices", 50, 2) == 25


def test_the_page_says_every_gate_and_every_contender():
    found = figures({"utilisation": 0.5, "stuck": 3, "errors": 1, "error": "Oops: no"})
    machine = {"date": "2026-01-01", "processor": "a", "cores": "2", "system": "b"}
    context = {"machine": machine, "versions": {"redis": "8"}, "repeats": 3, "seed": 1}
    text = page(found, gates(found), context)
    assert all(contender.title in text for contender in CONTENDERS.values())
    assert all(gate.name in text for gate in gates(found))
    assert "**no**" in text and "3 callers stuck" in text and "Oops: no" in text
    assert "{" not in text


def test_columns_of_the_terminals_table_stand_below_each_other():
    for _, table in tables(figures()):
        ends = {line.rindex(cells[-1]) + len(cells[-1]) for line, cells in
                zip(aligned(table), table, strict=True)}  # fmt: skip
        assert len(ends) == 1
    assert sum(line.endswith("reached") for line in verdict(gates(figures()))) == len(
        gates(figures())
    )


def test_figures_are_written_with_four_decimals():
    assert json.dumps(rounded({"a": [1.23456789, 2], "b": "c"})) == '{"a": [1.2346, 2], "b": "c"}'


# -- what one types --------------------------------------------------------------------------


def test_arguments_stand_before_the_environment():
    names, options = bench.read(["--only", "permits", "--seed", "3"], {"ONLY": "x", "SEED": "4"})
    assert (names, options.seed, options.quick, options.out) == (["permits"], 3, False, None)
    names, options = bench.read([], {"ONLY": "permits", "QUICK": "1", "OUT": "there"})
    assert (names, options.quick, str(options.out)) == (["permits"], True, "there")
    assert not bench.read([], {"QUICK": "0"})[1].quick


def test_without_a_name_all_benches_run():
    assert bench.read([], {})[0] == list(bench.BENCHES)


def test_an_unknown_bench_is_answered_with_the_known_ones(capsys):
    assert bench.main(["--only", "permit"], {}) == 2
    said = capsys.readouterr().err
    assert "no bench 'permit'" in said and "permits" in said


def test_a_seed_that_is_no_number_is_refused(capsys):
    assert bench.main([], {"SEED": "lucky"}) == 2
    assert "'lucky'" in capsys.readouterr().err


def test_a_missing_peer_ends_the_bench_in_words(monkeypatch, capsys, tmp_path):
    """The environment is this test's own interpreter, which has no such module."""
    import sys

    monkeypatch.setattr(environment, "PYTHON", sys.executable)
    monkeypatch.setattr(environment, "current", lambda: True)

    def permits(options: bench.Options) -> int:
        environment.ensure(["json", "no_such_peer"])
        return 0

    monkeypatch.setitem(bench.BENCHES, "permits", permits)
    assert bench.main(["--only", "permits"], {}) == 1
    assert "no_such_peer cannot be imported" in capsys.readouterr().err


def test_a_folder_that_is_no_environment_is_not_swept_away(monkeypatch, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("keep")
    monkeypatch.setattr(environment, "VENV", tmp_path)
    with pytest.raises(environment.BenchError, match="no virtual environment"):
        environment.make()
    assert mine.read_text() == "keep"


# -- what the comparison stands on -----------------------------------------------------------


async def test_the_polled_set_admits_its_capacity_and_a_leaver_lets_the_next_one_in(redis):
    semaphore = PolledSemaphore(redis, key="polled", capacity=2, seed=1)
    first, second, third = (semaphore.acquire() for _ in range(3))
    await first.__aenter__()
    await second.__aenter__()
    waiting = asyncio.create_task(third.__aenter__())
    assert await redis.zcard("polled") == 2
    await first.__aexit__(None, None, None)
    await waiting
    assert await redis.zcard("polled") == 2
    for one in (second, third):
        await one.__aexit__(None, None, None)
    assert await redis.exists("polled") == 0


async def test_who_gives_up_on_the_polled_set_is_not_left_in_it(redis, eventually):
    semaphore = PolledSemaphore(redis, key="polled", capacity=1, seed=1)
    async with semaphore.acquire():
        waiting = asyncio.create_task(semaphore.acquire().__aenter__())
        await eventually(lambda: semaphore.refused)
        waiting.cancel()
        await asyncio.wait([waiting])
        await eventually(lambda: not semaphore.leaving)
        assert await redis.zcard("polled") == 1
    assert await redis.exists("polled") == 0


async def test_answers_arrive_in_the_order_of_their_times_and_not_before_them():
    arrived = []
    begin = time.monotonic_ns()

    async def ask(after_ms: int) -> None:
        await upstream.answer(begin + after_ms * MS)
        arrived.append((after_ms, time.monotonic_ns() >= begin + after_ms * MS))

    with Upstream() as upstream:
        await asyncio.gather(*(ask(ms) for ms in (6, 2, 4)))
    assert arrived == [(2, True), (4, True), (6, True)]
