"""What one worker knows of its permits: who waits, what is held, what is yet to be said to Redis.

No I/O here: the pump asks for the next step (``compose``), and brings the reply (``apply``) and the
inbox's grants (``take``). Callers change the book synchronously (``ask``, ``forget``,
``give_back``), so nothing can come between a caller's decision and its record.

A step that failed may have been executed. Instead of guessing, the book *registers*: it says which
permits and waiters it has, under a new registration number, and Redis makes its record so. Grants
of an older number are ignored from then on, for Redis has taken them back. The same registration
answers a lost lease, another epoch, and a difference found by a heartbeat.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from service.core.permit_errors import (
    PermitNotHeld,
    PermitsSchema,
    PermitsUnavailable,
    PermitTimeout,
    QueueTooLong,
)
from service.core.queueing import (
    MARGIN_S,
    Deadlines,
    HeldPermit,
    QueueClass,
    Receipts,
    Waiter,
    eta_ms,
    worth_telling,
)
from service.store.connection import Argument
from service.store.permit_counts import Counts, Waits
from service.store.permit_steps import (
    Grant,
    Known,
    Reply,
    Timing,
    acquisition,
    heartbeat,
    registration,
)

log = structlog.get_logger("parley.permits")


@dataclass(slots=True, kw_only=True)
class Asker(Waiter):
    """A waiter and the Future that its caller awaits."""

    future: asyncio.Future[HeldPermit]


@dataclass(slots=True)
class Batch:
    """One step's words, and what must be said again if they may not have been heard."""

    words: list[Argument]
    releases: list[tuple[HeldPermit, str]] = field(default_factory=list)
    registers: bool = False


class Fenced(PermitsUnavailable):
    """This session was declared dead while it lived; its permits may be somebody else's."""


class Book:
    def __init__(self, *, tier: int, timing: Timing, ring: Callable[[], None]) -> None:
        """``ring`` wakes the pump: there is something to say."""
        self.counts = Counts()
        self.waiters: dict[int, Asker] = {}
        self.held: dict[str, HeldPermit] = {}
        self.known = Known(tier, tier)
        self.latest: Reply | None = None  # for metrics
        self.registered = False
        self.on_wait: Callable[[QueueClass, float], None] | None = None
        self.on_held: Callable[[int], None] | None = None
        self._timing = timing
        self._ring = ring
        self._asks: list[Asker] = []
        self._deadlines = Deadlines()
        self._cancels: list[int] = []
        self._releases: list[tuple[HeldPermit, str]] = []
        self._receipts = Receipts()
        self._acked = 0  # receipts that a step has carried
        self._registration = 0
        self._must_register = True
        self._pace_us = 0
        self._closed_ms = 0  # until the circuit lets one try
        self._waits = Waits()
        # When the last step that was answered was sent: our lease was renewed no earlier.
        self._contact = 0.0

    # -- callers ------------------------------------------------------------------------

    def ask(self, waiter: Asker) -> None:
        self.waiters[waiter.number] = waiter
        self._asks.append(waiter)
        self._deadlines.add(waiter.deadline, waiter.number, waiting=self.waiters)
        self._ring()

    def forget(self, waiter: Asker) -> None:
        """The caller has gone. A grant that comes for it after this is given back."""
        if self.waiters.pop(waiter.number, None) is not None and waiter.sent:
            self._cancels.append(waiter.number)
            self._ring()

    def expire(self, now: float) -> float:
        """End the wait of every caller whose own deadline has come. Returns the next deadline."""
        for number in self._deadlines.due(now):
            waiter = self.waiters.get(number)
            if waiter is not None and not waiter.future.done():
                waiter.future.set_exception(
                    PermitTimeout(position=waiter.position, eta_ms=waiter.eta_ms)
                )
        return self._deadlines.next

    def give_back(self, permit: HeldPermit, outcome: str) -> None:
        """Raises PermitNotHeld: given back twice, or never ours."""
        if self.held.pop(permit.id, None) is None:
            raise PermitNotHeld(f"permit {permit.id} is not held here, or was given back before")
        self._release(permit, outcome)

    def fail_waiters(self, why: str, kind: type[PermitsUnavailable] = PermitsUnavailable) -> None:
        for waiter in self.waiters.values():
            if not waiter.future.done():
                waiter.future.set_exception(
                    kind(why, position=waiter.position, eta_ms=waiter.eta_ms)
                )

    def _release(self, permit: HeldPermit, outcome: str) -> None:
        self._releases.append((permit, outcome))
        self._ring()
        if self.on_held is not None:
            self.on_held(len(self.held))

    # -- the next step ------------------------------------------------------------------

    @property
    def owes_receipt(self) -> bool:
        return self._acked != self._receipts.through

    def compose(self, now: float, *, beat: bool) -> Batch:
        """Everything since the last step. Without words, there is nothing to say."""
        batch = Batch([], self._releases)
        self._releases = []
        if self._must_register:
            self._compose_registration(batch, now)
        for permit, outcome in batch.releases:
            batch.words += ("r", permit.id, outcome)
        for number in self._cancels:
            batch.words += ("c", number)
        for waiter in self._asks:
            if waiter.number in self.waiters and not waiter.sent:
                waiter.sent = True
                batch.words += acquisition(waiter, now)
        self._cancels.clear()
        self._asks.clear()
        if beat:
            batch.words += heartbeat(self._ours(now), len(self.waiters))
            batch.words += self._waits.compose()
        return batch

    def _ours(self, now: float, *returned: HeldPermit) -> list[HeldPermit]:
        return [one for one in (*self.held.values(), *returned) if one.may_count(now)]

    def head(self) -> list[Argument]:
        """What stands before the words of every step."""
        self._acked = self._receipts.through
        known = self.known
        return [
            *(self._registration, known.epoch, self._acked, known.roster_number),
            *self._timing.words(),
        ]

    def _compose_registration(self, batch: Batch, now: float) -> None:
        """All that we have. What this step gives back was ours until now."""
        self._registration += 1
        self._receipts = Receipts()
        self.counts.registrations += 1
        batch.registers = True
        ours = self._ours(now, *(permit for permit, _ in batch.releases))
        waiters = list(self.waiters.values())
        for waiter in waiters:
            waiter.sent = True
        self._cancels.clear()
        self._asks.clear()
        fresh = not self.known.epoch
        batch.words = registration(self.known, ours, waiters, fresh=fresh, now=now)

    def unheard(self, batch: Batch, *, ring: bool = True) -> None:
        """The step failed, or Redis did not know us: say it again, with all that we have."""
        self._releases[:0] = batch.releases
        self._must_register = True
        if ring:
            self._ring()

    # -- what comes back ----------------------------------------------------------------

    def apply(self, reply: Reply, batch: Batch, sent: float) -> None:
        """``sent``: when the step was sent. Raises Fenced or PermitsSchema."""
        self.counts.steps += 1
        if reply.status == "fenced":
            self._end()
        if reply.status == "schema":
            self.registered = False
            self.unheard(batch, ring=False)
            raise PermitsSchema
        if reply.status == "register":
            self.unheard(batch)
            return
        if reply.epoch != self.known.epoch:
            self.counts.epochs += 1
        self._contact = sent
        self.known.learn(reply)
        self.latest = reply
        self._pace_us, self._closed_ms = reply.pace_us, max(0, reply.closed_ms)
        self.counts.unknown += len(reply.unknown)
        if batch.registers:
            self.registered = True
            self._must_register = False
        if reply.status == "differs":
            log.warning("permits differ", registration=self._registration)
            self._must_register = True
            self._ring()
        deadline, now = self._deadline(), time.monotonic()
        for permit in self.held.values():
            if permit.deadline > now:  # one that has passed stays passed: it may be another's now
                permit.deadline = deadline
        self._read_places(reply)
        self.take(self._registration, reply.grants)
        self.counts.lost_pushes += self.take(self._registration, reply.repeated)

    def _end(self) -> None:
        for permit in self.held.values():
            permit.deadline = 0.0
        raise Fenced("this session was fenced while it lived: another worker may use its permits")

    def _read_places(self, reply: Reply) -> None:
        for number, position in reply.refused:
            waiter = self.waiters.pop(number, None)
            if waiter is not None and not waiter.future.done():
                self.counts.refusals += 1
                eta = self._closed_ms + eta_ms(position, self._pace_us)
                waiter.future.set_exception(QueueTooLong(position=position, eta_ms=eta))
        for place in reply.places:
            waiter = self.waiters.get(place.waiter)
            if waiter is not None and place.position > 0:
                waiter.tag, waiter.arrival = place.tag, place.arrival
                self._tell(waiter, place.position)

    def _tell(self, waiter: Asker, position: int) -> None:
        eta = self._closed_ms + eta_ms(position, self._pace_us)
        if not worth_telling(waiter, position, eta):
            return
        waiter.position, waiter.eta_ms = position, eta
        if waiter.place is not None and not waiter.future.done():
            try:
                waiter.place(position, eta)
            except Exception:
                log.exception("a waiter's place callback failed")

    def take(self, number: int, grants: list[Grant]) -> int:
        """Grants made under the registration ``number``. Returns how many were new."""
        if number != self._registration:
            return 0
        new = [grant for grant in grants if self._receipts.take(grant.number)]
        for grant in new:
            self._granted(self.waiters.pop(grant.waiter, None), grant.permit)
        return len(new)

    def _granted(self, waiter: Asker | None, permit_id: str) -> None:
        now = time.monotonic()
        deadline = self._deadline()
        if waiter is None or waiter.future.done() or deadline <= now:
            self.counts.unused += 1
            self._release(HeldPermit(permit_id, "live", now, 0, deadline), "unused")
            if waiter is not None and not waiter.future.done():
                # We were paused for as long as a request lives: it asks again.
                self.waiters[waiter.number] = waiter
                self._must_register = True
            return
        wait_s = now - waiter.asked
        permit = HeldPermit(permit_id, waiter.priority, now, round(wait_s * 1000), deadline)
        self.held[permit_id] = permit
        self.counts.grants += 1
        self._waits.add(waiter.priority, permit.waited_ms)
        waiter.future.set_result(permit)
        if self.on_wait is not None:
            self.on_wait(waiter.priority, wait_s)
        if self.on_held is not None:
            self.on_held(len(self.held))

    def _deadline(self) -> float:
        return self._contact + self._timing.hold_s - MARGIN_S
