"""The permits under chaos: 4 worker processes, and an upstream that counts for itself.

The scenarios are played one after the other, each on a stage of its own. Time that is left after
the last one goes into further storms, each with the next seed.
"""

import asyncio
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from random import Random

import msgspec

from tests.chaos.permits.plays import LONG, Lengths
from tests.chaos.permits.result import Result, broken, measured, table
from tests.chaos.permits.scenarios import SCENARIOS, STORM, Scenario
from tests.chaos.permits.stage import staged
from tests.chaos.rigs import Outcome, Rig, Task

TIER = 40
MINUTES = 3.0
ABOUT_S = 18.0  # the longest scenario on two cores; longer, where one was seen to take longer
LOG_CHARS = 4000  # of what the processes logged, where a scenario missed


class Turn:
    """When a scenario may be played, and when the next one's processes may start.

    They start while this one drains, when nobody asks and nothing is measured any more.
    """

    def __init__(self, after: asyncio.Task[Result] | None = None) -> None:
        self._after = after
        self.over = asyncio.Event()

    async def come(self) -> None:
        """Until the scenario before has ended, whatever came of it."""
        if self._after is not None:
            await asyncio.wait([self._after])


async def played(
    scenario: Scenario,
    *,
    seed: int,
    lengths: Lengths = LONG,
    say: Callable[[str], None],
    turn: Turn | None = None,
) -> Result:
    """One scenario, from the start of its processes to their end."""
    turn = turn or Turn()
    orders = scenario.orders(tier=TIER, lengths=lengths, seed=seed)
    async with staged(
        orders, switches=scenario.switches, replicated=scenario.replicated, seed=seed, say=say
    ) as stage:
        try:
            await stage.crew.up()
            await turn.come()
            say(f"{scenario.title} [{scenario.name}]")
            await stage.begin(lengths.before)
            await scenario.play(stage, lengths, Random(f"{seed} {scenario.name}"))
            turn.over.set()
            await stage.drain()
            result = await measured(scenario, seed, stage)
            await stage.crew.leave()
        except Exception:
            say(stage.logged(LOG_CHARS))
            raise
        if result.misses:
            say(stage.logged(LOG_CHARS))
        return result


async def _told(scenario: Scenario, task: Task, turn: Turn) -> Result:
    """A scenario with its progress shown. One that comes to no end is a miss, not ours as well."""
    try:
        result = await played(scenario, seed=task.seed, say=task.say, turn=turn)
    except Exception as error:
        task.say("".join(traceback.format_exception(error)))
        result = broken(scenario, task.seed, TIER, error)
    finally:
        turn.over.set()
    for miss in result.misses:
        task.say(f"MISSED by [{scenario.name}]: {miss}")
    return result


class Programme:
    """The scenarios of one run, in order; while one drains, the next one's processes start."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._ends = time.monotonic() + task.seconds
        self._slowest_s = ABOUT_S
        self._tasks: list[asyncio.Task[Result]] = []

    @property
    def has_time(self) -> bool:
        return time.monotonic() + self._slowest_s < self._ends

    async def play(self, scenario: Scenario, seed: int) -> None:
        """Returns when the scenario drains."""
        begun = time.monotonic()
        turn = Turn(self._tasks[-1] if self._tasks else None)
        self._tasks.append(
            asyncio.create_task(_told(scenario, replace(self._task, seed=seed), turn))
        )
        await turn.over.wait()
        self._slowest_s = max(self._slowest_s, time.monotonic() - begun)

    async def results(self) -> list[Result]:
        return list(await asyncio.gather(*self._tasks))

    async def close(self) -> None:
        """Whatever is under way is ended with all that it started."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def run(task: Task) -> Outcome:
    """All scenarios, or the named ones, as far as the time goes."""
    due = [one for one in SCENARIOS if not task.parts or one.name in task.parts]
    programme = Programme(task)
    seed = task.seed
    try:
        while due and programme.has_time:
            await programme.play(due.pop(0), seed)
        while not due and not task.parts and programme.has_time:
            seed += 1
            await programme.play(replace(STORM, title=f"{STORM.title}, seed {seed}"), seed)
        results = await programme.results()
    finally:
        await programme.close()
    return Outcome(
        ok=not any(result.misses for result in results),
        complete=not due,
        table=table(results, due),
        report={
            "results": [msgspec.to_builtins(result) for result in results],
            "not_run": [scenario.name for scenario in due],
        },
    )


RIG = Rig(
    name="permits",
    summary=f"4 workers, a tier of {TIER}, an upstream that counts for itself",
    minutes=MINUTES,
    parts=tuple(scenario.name for scenario in SCENARIOS),
    run=run,
)
