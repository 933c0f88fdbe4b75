"""What happens on the stage: workers and servers that stop, die, return, or come back empty."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from tests.chaos.permits.crew import Worker
from tests.chaos.permits.stage import Stage


@dataclass(frozen=True)
class Lengths:
    """Seconds. The long form's are those that the figures are stated for."""

    before: float = 0.5  # of a full tier, before anything happens
    steady: float = 7.0
    after: float = 2.0  # with everybody back
    paused: float = 6.0  # a stopped worker
    lease: float = 1.0  # where a worker is stopped: it lapses long before the worker is back
    outliving_ms: tuple[int, int] = (1500, 3500)  # requests, then: most of them outlive the lease
    away: float = 4.0  # a stopped Valkey
    emptied: float = 4.0  # after a Valkey came back without its keys
    recovered: float = 1.5  # after a worker's death; from then on all is as it was
    killed: float = 10.0  # after it
    lagging: float = 1.0  # while the replica learns nothing
    storm: float = 10.0


LONG = Lengths()
SHORT = Lengths(
    before=0.2, steady=2.5, after=0.8, paused=2.0, lease=0.5, outliving_ms=(1000, 2000), away=2.0,
    emptied=1.5, killed=3.5, lagging=0.5, storm=4.0,
)  # fmt: skip

Play = Callable[[Stage, Lengths, Random], Awaitable[None]]


def victim(stage: Stage, random: Random) -> Worker:
    chosen: Worker = random.choice(sorted(stage.crew.workers, key=lambda worker: worker.session))
    return chosen


def stop(stage: Stage, worker: Worker) -> None:
    worker.pause()
    stage.say(f"{worker.session} stopped")


def go_on(stage: Stage, worker: Worker) -> None:
    worker.resume()
    stage.say(f"{worker.session} goes on")


async def valkey_away(stage: Stage, seconds: float) -> None:
    assert stage.valkey is not None
    stage.valkey.pause()
    stage.say("Valkey stopped")
    await asyncio.sleep(seconds)
    stage.valkey.resume()
    stage.say("Valkey goes on")


def restart_valkey(stage: Stage) -> None:
    assert stage.valkey is not None
    stage.valkey.kill()
    stage.valkey.start()
    stage.say("Valkey killed, and started again: empty")


# -- plays ----------------------------------------------------------------------------------------


async def steady(stage: Stage, lengths: Lengths, random: Random) -> None:
    async with stage.measured():
        await asyncio.sleep(lengths.steady)


async def worker_paused(stage: Stage, lengths: Lengths, random: Random) -> None:
    worker = victim(stage, random)
    async with stage.measured():
        stop(stage, worker)
        await asyncio.sleep(lengths.paused)
        go_on(stage, worker)
        await asyncio.sleep(lengths.after)


async def worker_killed(stage: Stage, lengths: Lengths, random: Random) -> None:
    worker = victim(stage, random)
    worker.kill()
    killed = asyncio.get_running_loop().time()
    stage.say(f"{worker.session} killed")
    replacement = await stage.crew.replaced(worker)
    await asyncio.sleep(killed + lengths.recovered - asyncio.get_running_loop().time())
    async with stage.measured():
        await asyncio.sleep(lengths.killed - lengths.recovered)
    stage.say(f"{replacement.session} {'asks' if replacement.ready.is_set() else 'is not there'}")


async def valkey_paused(stage: Stage, lengths: Lengths, random: Random) -> None:
    async with stage.measured():
        await valkey_away(stage, lengths.away)
        await asyncio.sleep(lengths.after)


async def valkey_emptied(stage: Stage, lengths: Lengths, random: Random) -> None:
    async with stage.measured():
        restart_valkey(stage)
        await asyncio.sleep(lengths.emptied)


async def valkey_paused_over_worker(stage: Stage, lengths: Lengths, random: Random) -> None:
    """The worker's lease lapses once Valkey is back and its clock goes on."""
    worker = victim(stage, random)
    async with stage.measured():
        stop(stage, worker)
        await valkey_away(stage, lengths.away)
        await asyncio.sleep(max(1.5 * lengths.lease, lengths.paused - lengths.away))
        go_on(stage, worker)
        await asyncio.sleep(lengths.after)


async def valkey_emptied_over_worker(stage: Stage, lengths: Lengths, random: Random) -> None:
    worker = victim(stage, random)
    async with stage.measured():
        stop(stage, worker)
        await asyncio.sleep(lengths.before)
        restart_valkey(stage)
        await asyncio.sleep(lengths.paused - lengths.before)
        go_on(stage, worker)
        await asyncio.sleep(lengths.after)


async def replica_promoted(stage: Stage, lengths: Lengths, random: Random) -> None:
    assert stage.replicated is not None
    async with stage.measured():
        await stage.replicated.cut_link()
        stage.say("the replica learns nothing more")
        await asyncio.sleep(lengths.lagging)
        missed = await stage.replicated.fail_over()
        stage.say(f"primary killed, replica promoted, which has missed {missed} bytes")
        await asyncio.sleep(lengths.emptied)


# -- anything, at any time ------------------------------------------------------------------------

PAUSED_S = (0.3, 3.0)
AWAY_S = (0.2, 1.5)
GAP_S = (0.2, 1.5)  # between the beginnings of two misfortunes


async def storm(stage: Stage, lengths: Lengths, random: Random) -> None:
    """Misfortunes drawn by the seed; several may be under way at once."""
    ends = asyncio.get_running_loop().time() + lengths.storm
    valkey = asyncio.Lock()  # one thing at a time can happen to the one server
    kinds = (_pause, _pause, _kill, _pause_valkey, _empty_valkey)
    async with stage.measured(), asyncio.TaskGroup() as group:
        while asyncio.get_running_loop().time() < ends:
            group.create_task(random.choice(kinds)(stage, random, valkey))
            await asyncio.sleep(random.uniform(*GAP_S))
    await asyncio.sleep(lengths.after)


async def _pause(stage: Stage, random: Random, valkey: asyncio.Lock) -> None:
    worker = victim(stage, random)
    stop(stage, worker)
    await asyncio.sleep(random.uniform(*PAUSED_S))
    if worker.alive:
        go_on(stage, worker)


async def _kill(stage: Stage, random: Random, valkey: asyncio.Lock) -> None:
    worker = victim(stage, random)
    worker.kill()
    stage.say(f"{worker.session} killed")
    await stage.crew.replaced(worker)


async def _pause_valkey(stage: Stage, random: Random, valkey: asyncio.Lock) -> None:
    away_s = random.uniform(*AWAY_S)
    async with valkey:
        await valkey_away(stage, away_s)


async def _empty_valkey(stage: Stage, random: Random, valkey: asyncio.Lock) -> None:
    async with valkey:
        restart_valkey(stage)
