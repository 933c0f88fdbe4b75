"""The end of work: the one place that says when a request stops counting against the tier.

A request counts from acceptance until its work ends, and work goes by the model's clock, not by
the reader's: a client that reads slowly does not hold the model back, and one that stops reading
does not keep its place in the tier. So the end is set by a timer at the last model token's
deadline, whatever the socket does. A stall (the model itself is silent) keeps counting.

A client that closes its connection ends the work at once: the watcher below sees the disconnect
and aborts. The real endpoint documents neither whether it notices, nor how late, nor whether its
place is free at the last byte or later; those delays belong here, into `_abandon` and `end`, and
nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.types import Receive

from service.simulator.stats import Stats
from service.simulator.tier import Line, Tier


class Work:
    """One accepted request while the model works on it."""

    def __init__(self, tier: Tier, stats: Stats, line: Line) -> None:
        self._tier = tier
        self._stats = stats
        self._line = line
        self._timer: asyncio.TimerHandle | None = None
        self._task = asyncio.current_task()
        self._ended = False
        self.abandoned = False
        self.outcome = "open"

    def ends_at(self, deadline: float, outcome: str) -> None:
        """Set the end of work, in the event loop's clock, independent of the reader."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(deadline, self.end, outcome)

    def end(self, outcome: str) -> None:
        """The work is over and its place in the tier free; calling it again changes nothing."""
        if self._ended:
            return
        self._ended = True
        self.outcome = outcome
        if self._timer is not None:
            self._timer.cancel()
        now = int(time.time())
        self._tier.leave(self._line, now=now)
        self._stats.outcome(outcome)

    def _abandon(self) -> None:
        """The client is gone: the work is aborted, promptly."""
        self.abandoned = True
        self.end("aborted")
        if self._task is not None:
            self._task.cancel()

    async def watch(self, receive: Receive) -> None:
        """Wait for the client to close its connection."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._abandon()


@asynccontextmanager
async def working(work: Work, receive: Receive) -> AsyncIterator[Work]:
    """Run the body as the work of one request; it is left quietly when the client goes away."""
    watcher = asyncio.create_task(work.watch(receive))
    try:
        yield work
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not work.abandoned or task is None or task.uncancel() > 0:
            raise
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        work.end("failed")  # only if nothing ended it: an exception is on its way
