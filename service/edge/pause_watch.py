"""Notices that this worker stood still: stopped by a signal, blocked, on a suspended machine.

Longer than a lease, and others may have adopted its turns. Its late writes are refused by their
fence. But its sockets show what they showed then, and their customers may have missed what went on
elsewhere; so they are closed, and resume on whichever worker they reach. (A worker that stays
silent is killed by its supervisor; this one was faster than that.)
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from service.core.errors import Shed
from service.edge.sockets import Sockets
from service.store.log import LEASE_MS

LOOK_S = 0.25

log = structlog.get_logger("parley.pause")


def awake_or_asleep() -> float:
    """Seconds that also pass while the machine is suspended, which time.monotonic() leaves out."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class PauseWatch:
    """Closes every socket after a pause. ``run`` it in a task: what it is late by is the pause."""

    def __init__(self, sockets: Sockets, *, clock: Callable[[], float] = awake_or_asleep) -> None:
        self._sockets = sockets
        self._clock = clock

    async def run(self) -> None:
        before = self._clock()
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._clock()
            self._look(now - before - LOOK_S)
            before = now

    def _look(self, late_s: float) -> None:
        if 1000 * late_s <= LEASE_MS:
            return
        sockets = list(self._sockets)
        log.warning("stood_still", seconds=round(late_s, 1), sockets=len(sockets))
        for socket in sockets:
            socket.refuse(Shed(f"stood still for {late_s:.1f} s"))
