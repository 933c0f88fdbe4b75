"""What operators see of the permits: gauges, counters, and a log line where somebody must act.

All of it is in the replies that a worker's steps bring anyway, so a look costs no request, however
long the queue is. What is the account's, not the worker's, is shown by the newest reply of any.
"""

import asyncio
from dataclasses import fields

import structlog

from service.core.account_alarms import advice
from service.core.queueing import QueueClass
from service.edge import metrics
from service.store.permit_counts import Counts
from service.store.permit_steps import Reply
from service.store.permits import RedisPermits

CLASSES: tuple[QueueClass, ...] = ("live", "background")
LOOK_S = 1.0  # a heartbeat's reply comes as often

FULL = "the platform is full, for everybody: waiters keep their place, one request at a time tries"

log = structlog.get_logger("parley.permits")

COUNTERS = {
    "grants": metrics.permit_grants,
    "steps": metrics.permit_steps,
    "registrations": metrics.permit_registrations,
    "epochs": metrics.permit_epochs,
    "refusals": metrics.permit_refusals,
    "lost_pushes": metrics.permit_lost_pushes,
    "unused": metrics.permit_unused,
    "unknown": metrics.permit_unknown,
}


class PermitWatch:
    """One worker's look at the permits. ``speaks``: this worker logs what concerns all of them."""

    def __init__(self, permits: RedisPermits, *, speaks: bool) -> None:
        self._permits = permits
        self._speaks = speaks
        self._counted = Counts()
        self._seen: Reply | None = None
        self._blocked = 0
        self._open = False

    async def run(self) -> None:
        """Look each second, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Bring metrics and log to what is known now."""
        self._count()
        metrics.permits_held.set(self._permits.held)
        waiting = self._permits.waiting_by_class
        for priority in CLASSES:
            metrics.permits_waiting.labels(priority).set(waiting[priority])
        latest = self._permits.latest
        # What is set last is what is shown: nobody may set anew what it has not heard anew.
        if latest is not None and latest is not self._seen:
            self._seen = latest
            self._show(latest)
            if self._speaks:
                self._speak(latest)

    def _count(self) -> None:
        counts = self._permits.counts
        for field in fields(Counts):
            grown = getattr(counts, field.name) - getattr(self._counted, field.name)
            COUNTERS[field.name].inc(grown)
            setattr(self._counted, field.name, getattr(counts, field.name))

    def _show(self, latest: Reply) -> None:
        metrics.permits_used.set(latest.used)
        metrics.permits_admissible.set(latest.admissible)
        metrics.permits_limit.set(latest.limit)
        metrics.permits_tier.set(latest.configured)
        metrics.permits_circuit.set(latest.closed_ms >= 0)
        metrics.permits_blocked.set(latest.blocked != 0)

    def _speak(self, latest: Reply) -> None:
        """Once for each change; waiting helps neither the account nor, for now, the platform."""
        if latest.blocked and not self._blocked:
            log.critical("account_blocked", code=latest.blocked, do=advice(str(latest.blocked)))
        elif self._blocked and not latest.blocked:
            log.warning("account_unblocked", code=self._blocked)
        is_open = latest.closed_ms >= 0
        if is_open and not self._open:
            log.warning("circuit_open", codes="1305 1312", means=FULL, next_ms=latest.closed_ms)
        elif self._open and not is_open:
            log.warning("circuit_closed", means="the platform answers again")
        self._blocked, self._open = latest.blocked, is_open
