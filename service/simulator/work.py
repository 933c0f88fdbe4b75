"""The end of work: the one place that says when a request stops counting against the tier.

A request counts from acceptance until its work ends, and work goes by the model's clock, not by
the reader's: a client that reads slowly does not hold the model back, and one that stops reading
does not keep its place in the tier. So the end is set by a timer at the last model token's
deadline, whatever the socket does. A stall (the model itself is silent) keeps counting. A client
that closes its connection ends the work at once: the watcher below sees the disconnect.

That is the endpoint at its simplest. The real one documents none of it, so each of the three
unknowns is an option, and all three are decided here and nowhere else:

* `release_lag_ms`: after the last byte of a work that came to its own end (whole, cut, broken off
  by the model) its place is kept so much longer. Work that is aborted has no last byte: its place
  is free when it is aborted.
* `disconnect_delay_ms`: so long after a client closed its connection the work is aborted; until
  then it goes on by the model's clock, into nothing, and may come to its own end. None: always.
* `write_stall`: while a write cannot proceed the model's clock stands still for that request.
  `Work.through` measures how long, `playback` moves the deadlines by it, and no timer ends the
  work: it ends when everything before the closing bytes is with the reader's kernel. A client that
  has gone stalls nothing: what is written to it is dropped.

A request is thus in one of four states, which exclude each other and together are the tier's
count: *going*, *stalled* (a write is blocked now), *unnoticed* (its client has gone), *lingering*
(over, the place not free yet). The delays are taken as the options are at that moment, and a
change holds for those who are waiting one out already, so that a reset leaves nobody behind who
waits for what is no longer asked. Whether a request can stall is fixed when it is accepted.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from starlette.types import Message, Receive, Send

from service.simulator.options import SimulatorOptions
from service.simulator.stats import Stats
from service.simulator.tier import Line, Tier

STATES = ("going", "stalled", "unnoticed", "lingering")


class WorkBook:
    """The accepted requests whose place in the tier is not free yet."""

    def __init__(self, tier: Tier, stats: Stats, options: SimulatorOptions) -> None:
        self.options = options
        self.stats = stats
        self._tier = tier
        self._works: set[Work] = set()

    def begin(self, line: Line) -> Work:
        """The work of a request that `tier.enter` gave `line`, done by the current task."""
        work = Work(self, line)
        self._works.add(work)
        return work

    def free(self, work: Work) -> None:
        """Give the place of `work` back to the tier; KeyError if it was given back before."""
        self._works.remove(work)
        self._tier.leave(work.line, now=int(time.time()))

    def change(self, options: SimulatorOptions) -> None:
        """Go by other options from now on."""
        self.options = options
        for work in list(self._works):
            work.reconsider()

    def snapshot(self) -> dict[str, int]:
        """How many are in each state; together as many as the tier counts."""
        counted = Counter(work.state for work in self._works)
        return {state: counted[state] for state in STATES}


class Work:
    """One accepted request from its acceptance until its place is free."""

    def __init__(self, book: WorkBook, line: Line) -> None:
        self.line = line
        self.stalls = book.options.write_stall
        self.stood_still = 0.0  # seconds by which the model's clock is behind the event loop's
        self.abandoned = False
        self.outcome = "open"
        self._book = book
        self._task = asyncio.current_task()
        self._delay_timer: asyncio.TimerHandle | None = None
        self._gone_at: float | None = None  # the client closed its connection
        self._over_at: float | None = None  # the work ended
        self._blocked = False

    @property
    def state(self) -> str:
        """One of `STATES`."""
        if self._over_at is not None:
            return "lingering"
        if self._gone_at is not None:
            return "unnoticed"
        return "stalled" if self._blocked else "going"

    # -- the model's side ---------------------------------------------------------------------

    def through(self, send: Send) -> Send:
        """`send`, during whose waiting the model's clock stands still if the request can stall."""
        if not self.stalls:
            return send

        async def measured(message: Message) -> None:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            self._blocked = True
            try:
                await send(message)
            finally:
                self._blocked = False
                self.stood_still += loop.time() - begun

        return measured

    async def written(self, send: Send) -> None:
        """Wait until what was sent is with the reader's kernel, if the request can stall."""
        if self.stalls:  # the server waits before each write until the one before it is through
            await send({"type": "http.response.body", "body": b"", "more_body": True})

    def ends_at(self, deadline: float, outcome: str) -> None:
        """Set the end of work, in the event loop's clock, independent of the reader.

        Work that can stall has no such end: it ends when it gets there.
        """
        if not self.stalls:
            asyncio.get_running_loop().call_at(deadline, self.end, outcome)

    def end(self, outcome: str) -> None:
        """The work is over, its place free after the lag; calling it again changes nothing."""
        if self._over_at is None:
            self._over(outcome)
            self.reconsider()

    def _over(self, outcome: str) -> None:
        self._over_at = asyncio.get_running_loop().time()
        self.outcome = outcome
        self._book.stats.outcome(outcome)

    # -- the client's side --------------------------------------------------------------------

    async def watch(self, receive: Receive) -> None:
        """Wait for the client to close its connection."""
        while (await receive())["type"] != "http.disconnect":
            pass
        if self._over_at is None:  # else its end is settled, whoever still reads
            self._gone_at = asyncio.get_running_loop().time()
            self.reconsider()

    def _abort(self) -> None:
        """It was noticed that the client is gone."""
        self._over("aborted")
        self._free()
        self.abandoned = True
        if self._task is not None:
            self._task.cancel()

    # -- what is waited out -------------------------------------------------------------------

    def reconsider(self) -> None:
        """Wait out, by the options as they are now, what is left of the delay that applies."""
        options = self._book.options
        if self._delay_timer is not None:
            self._delay_timer.cancel()
            self._delay_timer = None
        if self._over_at is not None:
            self._at(self._over_at + options.release_lag_ms / 1000, self._free)
        elif self._gone_at is not None and options.disconnect_delay_ms is not None:
            self._at(self._gone_at + options.disconnect_delay_ms / 1000, self._abort)

    def _at(self, when: float, action: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        if when <= loop.time():
            action()  # now, not one turn of the loop later: the client may have read the end
        else:
            self._delay_timer = loop.call_at(when, action)

    def _free(self) -> None:
        self._book.free(self)


@asynccontextmanager
async def working(work: Work, receive: Receive) -> AsyncIterator[Work]:
    """Run the body as the work of one request; it is left quietly when it is aborted."""
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
