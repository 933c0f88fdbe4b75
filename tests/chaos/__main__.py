"""`python -m tests.chaos`: break things while they work, and count what comes of it.

Everything listens on 127.0.0.1 only, and everything that is started ends with this process. The
exit status is 0 where every figure was reached, 2 for a wrong option, and 1 where a figure was
missed, or not all was run although nobody asked for less time.
"""

import asyncio
import contextlib
import json
import logging
import random
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

import click
import structlog
import uvloop

from tests.chaos.rigs import MODULES, Outcome, Rig, Task, UnknownRig, chosen

SEED_MAX = 2**31 - 1
MINUTES_MAX = 240.0
INTERRUPTED = 130  # as shells say it of SIGINT

Choice = list[tuple[Rig, tuple[str, ...]]]


def parsed_only(context: click.Context, parameter: click.Parameter, value: str) -> Choice:
    try:
        return chosen(value)
    except UnknownRig as error:
        raise click.BadParameter(str(error)) from error


def parsed_seed(context: click.Context, parameter: click.Parameter, value: str | None) -> int:
    if value is None:
        return random.SystemRandom().randint(1, SEED_MAX)
    if not value.isdecimal() or int(value) > SEED_MAX:
        raise click.BadParameter(f"{value!r} is no whole number from 0 to {SEED_MAX}")
    return int(value)


def parsed_minutes(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        if 0 < float(value) <= MINUTES_MAX:
            return float(value)
    raise click.BadParameter(f"{value!r} is no number of minutes above 0, at most {MINUTES_MAX:g}")


def parsed_path(
    context: click.Context, parameter: click.Parameter, value: Path | None
) -> Path | None:
    if value is not None and not value.parent.is_dir():
        raise click.BadParameter(f"there is no folder {value.parent}")
    return value


@click.command()
@click.option(
    "--only",
    envvar="ONLY",
    default="",
    callback=parsed_only,
    metavar="NAME",
    help=f"A rig ({', '.join(sorted(MODULES))}), or parts of one: permits:steady,storm.",
)
@click.option(
    "--seed",
    envvar="SEED",
    callback=parsed_seed,
    metavar="NUMBER",
    help="Repeats a run, as far as processes and clocks let it. Without it, one is drawn.",
)
@click.option(
    "--minutes",
    envvar="MINUTES",
    callback=parsed_minutes,
    metavar="NUMBER",
    help="How long each rig may take at most; what does not fit is not run, and said.",
)
@click.option(
    "--json",
    "path",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=parsed_path,
    help="Write the figures to this file as well.",
)
def main(only: Choice, seed: int, minutes: float | None, path: Path | None) -> None:
    """Break workers, Valkey and connections while they work, and count what comes of it."""
    # The supervisor's own lines would stand between those of the run.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    outcomes = uvloop.run(_interruptible(_all(only, seed, minutes)))
    if outcomes is None:
        click.echo("\ninterrupted; everything that was started has been ended", err=True)
        sys.exit(INTERRUPTED)
    for outcome in outcomes.values():
        click.echo(f"\n{outcome.table}")
    ok = all(outcome.ok for outcome in outcomes.values())
    complete = all(outcome.complete for outcome in outcomes.values())
    if path is not None:
        rigs = {name: outcome.report for name, outcome in outcomes.items()}
        report = {"seed": seed, "ok": ok, "complete": complete, "rigs": rigs}
        path.write_text(json.dumps(report, indent=2) + "\n")
    verdict = ("all reached" if complete else "what was run reached all") if ok else "MISSED"
    click.echo(f"\n{verdict}; the same again: SEED={seed}")
    sys.exit(0 if ok and (complete or minutes is not None) else 1)


async def _all(choice: Choice, seed: int, minutes: float | None) -> dict[str, Outcome]:
    outcomes = {}
    for rig, parts in choice:
        allowed = rig.minutes if minutes is None else minutes
        click.echo(f"{rig.name}: {rig.summary}; seed {seed}, at most {allowed:g} min")
        task = Task(seed, allowed * 60, parts, _stopwatch())
        outcomes[rig.name] = await rig.run(task)
    return outcomes


def _stopwatch() -> Callable[[str], None]:
    begun = time.monotonic()

    def say(text: str) -> None:
        for line in text.splitlines():
            click.echo(f"{time.monotonic() - begun:6.1f} s  {line}")

    return say


async def _interruptible(
    work: Coroutine[object, object, dict[str, Outcome]],
) -> dict[str, Outcome] | None:
    """What ``work`` comes to, or None where a signal ended it: all contexts are left then."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    signalled = False

    def stop() -> None:
        nonlocal signalled
        signalled = True
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        if not signalled:
            raise
        return None


if __name__ == "__main__":
    main(prog_name="python -m tests.chaos")
