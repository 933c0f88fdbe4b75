"""A roll: all workers are replaced, one after the other, while customers are served.

A fresh worker is another process: it imports the code that is installed by then, and reads the
declared sites anew. (Its settings are those of the supervisor's environment, which nothing can
change.) It accepts connections from its slot's socket before the old worker stops; that one then
sends its customers away, ends its answers, and is gone, and only then the next slot has its turn.

The first fresh worker that cannot start, or does not become ready, ends the roll: what is wrong
with it is wrong with the others too, and the old workers are better than none.
"""

import asyncio
import os
from collections.abc import Callable, Sequence

import structlog

from service.host.process import ENDING_S
from service.host.slot import Slot

READY_S = 30.0  # imports on a busy machine, and a Redis that is just coming back

log = structlog.get_logger("parley.supervisor")


class Roll:
    """Rolls when asked; asked again meanwhile, once more afterwards."""

    def __init__(self, slots: Callable[[], Sequence[Slot]], *, drain_s: float) -> None:
        """``drain_s``: what an old worker's answers have to end in; all of it, as nobody waits."""
        self._slots = slots
        self._leave_s = drain_s + ENDING_S
        self._asked = asyncio.Event()

    def ask(self) -> None:
        self._asked.set()

    async def run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._roll()

    async def _roll(self) -> None:
        began = asyncio.get_running_loop().time()
        slots = self._slots()
        log.info("roll_began", workers=len(slots))
        for slot in slots:
            why = await slot.replace(ready_s=READY_S, leave_s=self._leave_s)
            if why:
                log.error(
                    "roll_ended", slot=slot.number, why=why,
                    effect="the workers that have not been replaced go on",
                )  # fmt: skip
                return
        seconds = asyncio.get_running_loop().time() - began
        log.info("roll_done", workers=len(slots), seconds=round(seconds, 1))


class Terminal:
    """The terminal that a command was started on, where it was.

    A terminal that closes sends the same signal, SIGHUP, as somebody who wants a roll.
    """

    def __init__(self) -> None:
        self._descriptors = [number for number in (0, 1, 2) if os.isatty(number)]

    @property
    def closed(self) -> bool:
        return not all(map(os.isatty, self._descriptors))
