"""Permits: the account's tier as a semaphore that all workers share.

The provider lets an account have so many requests in flight, per model, and refuses the next. So
each request is made inside a permit, and a permit is a row in Redis that counts until it is known
that its request has ended.

**Why quarantine exists.** Every semaphore on leases frees a holder's permit when its lease runs
out: the holder must be dead. It need not be. A worker that was stopped, swapped out or starved for
six seconds has a lapsed lease and open sockets; the provider goes on writing into them, and goes on
counting. Give its permits away, and the account is over its tier, although each step looked right.
No cleverness in Redis helps, for what ended is the lease and what counts is the request. Nor can
the provider check a fencing number, as a database could. So here a lapsed lease changes only who
may be *given* something. The permits of a silent session stay counted, in quarantine, until one of
three things is known:

* the session is back, and says which of them it has;
* a fence notice: somebody saw its process end (the supervisor, which kills what is silent), and
  with it the kernel closed its sockets;
* the request's own deadline: a worker cuts each request a little before ``HOLD_S`` from when it
  last knew its lease renewed, so after that none of them runs.

In the same way a request that *we* cut counts for a linger after it, because nobody documents when
the provider notices a closed socket. And a server that restarted, empty or not, has no say over
what is in flight: it begins an epoch, waits for every session of the roster, and until then allows
no more than has been registered again. Only a function's locals know that it restarted
(lua/permits_state.lua).

**How it works.** All decisions are one Lua function, `lua/permits.lua`, called by one task per
worker, the pump (store/permit_pump.py; store/permit_book.py is what it knows). It carries what the
worker gives back, wants, and no longer wants. The function hands each free permit to the next
waiter of any worker: in the reply if the waiter is the caller's own, else into that worker's inbox,
a stream that the worker blocks on. Nothing polls. A worker that does not confirm a grant within
250 ms gets no other until it does, so a stopped worker holds few permits that nobody uses. The
queue is fair over flows: lua/permits_queue.lua.

**Why callers own no I/O.** A caller can be cancelled at any await. If the reply that grants its
permit is read by the caller, a cancellation there loses the permit for ever. Here a caller awaits a
Future and nothing else, and its cancellation is a synchronous change of a dict: a grant for nobody
is given back, and a permit that was already in the Future is too.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType

from service.core.permit_errors import PermitLost, PermitSpent
from service.core.queueing import HeldPermit, QueueClass
from service.store.permit_book import Asker
from service.store.permit_counts import Counts
from service.store.permit_office import (
    PermitOffice,
    checked_name,
    checked_tier,
    flow_name,
)
from service.store.permit_pump import Pump
from service.store.permit_state import PermitsState
from service.store.permit_steps import Reply

Place = Callable[[int, int], None]


class RedisPermits:
    """One worker's access to the permits of one (account, model); fits ``flows.ports.Permits``.

    Open it with ``async with RedisPermits.join(...)``, and let a task of the worker await ``run``.
    """

    def __init__(self, pump: Pump, running: asyncio.Task[None]) -> None:
        self._pump = pump
        self._book = pump.book
        self._running = running
        self._numbers = itertools.count(1)
        self._loop = asyncio.get_running_loop()

    @classmethod
    @asynccontextmanager
    async def join(
        cls, office: PermitOffice, url: str, *, session: str, tier: int
    ) -> AsyncIterator["RedisPermits"]:
        """Register ``session``, in the background, and keep it until the context ends.

        ``session`` must be new for every process. ``url`` is for the inbox's own connection.
        Raises SettingError for a tier or a session that cannot be one; a Redis that is away is no
        error (``registered`` tells).
        """
        pump = Pump(office, session=checked_name(session), tier=checked_tier(tier))
        running = asyncio.create_task(pump.run(), name="permit pump")
        listening = asyncio.create_task(pump.listen(url), name="permit inbox")
        try:
            yield cls(pump, running)
        finally:
            running.cancel()
            listening.cancel()
            await asyncio.wait([running, listening])
            await pump.close()

    async def run(self) -> None:
        """Wait for the end of the session, which is none in good order: for a TaskGroup.

        Raises PermitsUnavailable if a fence notice named this session. The process must end then.
        """
        await asyncio.wait([self._running])
        self._running.result()

    # -- waiting ------------------------------------------------------------------------

    def acquire(
        self,
        *,
        flow: str,
        priority: QueueClass,
        deadline: float,
        place: Place | None = None,
        since: float | None = None,
    ) -> "Acquisition":
        """As in ``flows.ports.Permits``. Raises PermitLost, too, after a pause of this process."""
        return Acquisition(
            self,
            Asker(
                number=next(self._numbers),
                flow=flow_name(flow),
                priority=priority,
                asked=time.monotonic(),
                deadline=deadline,
                since=since,
                place=place,
                future=self._loop.create_future(),
            ),
        )

    async def _wait(self, waiter: Asker) -> HeldPermit:
        self._pump.ask(waiter)
        try:
            permit = await waiter.future
        except BaseException:
            self._withdraw(waiter)
            raise
        if permit.deadline <= time.monotonic():
            self._book.give_back(permit, "unused")
            raise PermitLost("the permit's deadline passed before it was used")
        return permit

    def _withdraw(self, waiter: Asker) -> None:
        """Without an await, so that nothing can come between."""
        self._book.forget(waiter)
        future = waiter.future
        if future.done() and not future.cancelled() and future.exception() is None:
            self._book.give_back(future.result(), "unused")

    # -- the whole ----------------------------------------------------------------------

    @property
    def registered(self) -> bool:
        """Whether Redis knows this session and its last step was answered: fit for readiness."""
        return self._book.registered

    @property
    def held(self) -> int:
        """Permits that this worker has now."""
        return len(self._book.held)

    @property
    def waiting(self) -> int:
        """Callers of this worker who wait."""
        return len(self._book.waiters)

    @property
    def waiting_by_class(self) -> Counter[QueueClass]:
        """The same, by class."""
        return Counter(waiter.priority for waiter in self._book.waiters.values())

    @property
    def latest(self) -> Reply | None:
        """What the last step that was answered said of the whole; None before the first."""
        return self._book.latest

    @property
    def counts(self) -> Counts:
        """For metrics: numbers that only grow."""
        return self._book.counts

    def observe(
        self,
        *,
        wait: Callable[[QueueClass, float], None] | None = None,
        held: Callable[[int], None] | None = None,
    ) -> None:
        """Call ``wait`` with each grant's class and seconds, ``held`` with each new number."""
        self._book.on_wait, self._book.on_held = wait, held

    async def fence(self, session: str) -> str:
        """See ``PermitOffice.fence``."""
        return await self._pump.office.fence(session)

    async def set_limit(self, limit: int) -> None:
        """See ``PermitOffice.set_limit``."""
        await self._pump.office.set_limit(limit)

    async def state(self) -> PermitsState:
        """See ``PermitOffice.state``."""
        return await self._pump.office.state()


class Acquisition:
    """What ``acquire`` returns: enter it to wait, leave it to give the permit back."""

    def __init__(self, permits: RedisPermits, waiter: Asker) -> None:
        self._permits = permits
        self._waiter = waiter
        self._permit: HeldPermit | None = None

    async def __aenter__(self) -> HeldPermit:
        if self._waiter.future.done() or self._waiter.number in self._permits._book.waiters:
            raise PermitSpent("an acquisition serves one request: ask for another one")
        self._permit = await self._permits._wait(self._waiter)
        return self._permit

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        permit = self._permit
        if permit is not None:
            outcome = permit.outcome or ("ok" if kind is None else "aborted")
            self._permits._book.give_back(permit, outcome)
