"""Rolling restarts under customers whose answers stream: what is lost, and what they see of it.

python -m tests.system.roll --customers 200 --every 20 --minutes 3
"""

import argparse
import asyncio
import random
import re
import shutil
import signal
import time

from tests.support.eventually import eventually
from tests.support.instance import Instance, Simulator
from tests.support.movers import crowd, while_they_talk
from tests.support.seen import Seen
from tests.support.valkey import Valkey

QUESTION = "How long does shipping to Norway take?"
# 100 model tokens, each word unlike the others, so that nothing can stand in another's place.
ANSWER = " ".join(f"w{number}" for number in range(50)) + "."
SCRIPTS = [{"match": "Norway", "text": ANSWER}]
ANSWER_S = 30.0  # the longest that any answer may take, whatever happens


class RollEnded(Exception):
    """A new worker was of no use; the supervisor's own line."""


def rolls(instance: Instance) -> int:
    """How many have been done, where none is under way; else 0."""
    said = instance.program.log.read_text("utf-8", "replace")
    ended = re.search(r'.*"event": "roll_ended".*', said)
    if ended:
        raise RollEnded(ended[0])
    done = said.count('"event": "roll_done"')
    return done if done == said.count('"event": "roll_began"') else 0


async def roll_every(instance: Instance, every_s: float, times: int) -> None:
    """So many SIGHUPs; the last of the rolls is waited for."""
    for _ in range(times):
        await asyncio.sleep(every_s)  # the fault's own rhythm
        instance.program.process.send_signal(signal.SIGHUP)
    await eventually(lambda: rolls(instance), within=120, every=0.2)


async def play(
    instance: Instance, customers: int, *, every_s: float, times: int, rolling: bool = True
) -> Seen:
    """Have ``customers`` ask while the workers roll; raises where a rule of the wire is broken."""
    seen = Seen()
    movers = await crowd(instance.url, customers, seen)
    looking = asyncio.create_task(seen.look_at_itself())
    fault = roll_every(instance, every_s, times) if rolling else asyncio.sleep(every_s * times)
    try:
        await while_they_talk(movers, QUESTION, fault, within=ANSWER_S)
        for mover in movers:
            await mover.assert_like_the_log()
    finally:
        looking.cancel()
        await asyncio.gather(*(mover.stop() for mover in movers))
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=200)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--every", type=float, default=20.0, help="seconds between rolls")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--tokens-per-second", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--control", action="store_true", help="the same without any roll")
    parser.add_argument("--log", help="where to keep the server's log")
    given = parser.parse_args()
    random.seed(given.seed)
    began = time.monotonic()
    with (
        Valkey() as valkey,
        Simulator(
            tier=300, first_token_ms=200, tokens_per_second=given.tokens_per_second, seed=given.seed
        ) as simulator,
        Instance(
            valkey.url, simulator.url, workers=given.workers, PARLEY_TIER="V2", PARLEY_DRAIN_S="10"
        ) as instance,
    ):
        simulator.control(scripts=SCRIPTS)
        times = round(60 * given.minutes / given.every)
        playing = play(
            instance, given.customers, every_s=given.every, times=times, rolling=not given.control
        )
        try:
            seen = asyncio.run(playing)
        finally:
            if given.log:
                shutil.copy(instance.program.log, given.log)
        print(f"{rolls(instance)} rolls of {given.workers} workers under {given.customers}", end="")
        print(f" customers in {time.monotonic() - began:.0f} s (seed {given.seed}): {seen}")


if __name__ == "__main__":
    main()
