"""The permits on one page: what the functions in `lua/` must do, in Python and without Redis.

A step is ``begin``, then what its caller says (``register``, ``acquire`` ...), then ``hand_out``.
Times are ms of the lease clock. What the functions draw by lot they tell (``drawn``). Left out: the
mean hold, and so who is refused for too long a wait; what fades after ten minutes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from service.core.queueing import HeldPermit
from service.store.permit_steps import Known
from tests.support.permit_model_provider import Provider
from tests.support.permit_model_queue import HEAD, FairQueue, Waiting

NOBODY = "-"  # owns what lingers
ACK_MS, CLOCK_STEP_MS, BACKGROUND_EVERY = 250, 1000, 20


@dataclass(slots=True)
class Permit:
    owner: str
    priority: str
    number: int = 0  # of its session's grants, and its waiter; 0 once the session registered it
    waiter: int = 0
    until: int = 0  # end of its linger


@dataclass(slots=True)
class Session:
    registration: int
    state: str = "live"
    until: int = 0  # end of its lease, or of its quarantine
    granted: int = 0
    acked: int = 0
    silent: int = 0  # since when it owes a receipt


class Given(NamedTuple):
    session: str
    number: int
    waiter: int
    permit: str


class Drawn(NamedTuple):
    epoch: str
    pause_ends: int


@dataclass(slots=True)
class Model:
    linger: int
    lease: int
    hold: int
    clock: int = 0
    seen: int = 0
    run: str = ""
    epoch: str = ""
    began: int = 0
    window: int = 0  # until then, and until nobody is absent, the epoch recovers
    registered: int = 0  # permits that the epoch was told of
    seq: int = 0
    arrivals: int = 1
    since_background: int = 0
    drawn: Drawn = field(default_factory=lambda: Drawn("", 0))
    provider: Provider = field(default_factory=Provider)
    queues: dict[str, FairQueue] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    absent: dict[str, int] = field(default_factory=dict)
    fenced: dict[str, int] = field(default_factory=dict)
    permits: dict[str, Permit] = field(default_factory=dict)
    given: list[Given] = field(default_factory=list)  # in this step

    def tick(self, now: int) -> None:
        """The lease clock never goes back and never leaps."""
        passed = now - (self.seen or now)
        self.clock = (self.clock or now) + max(0, min(passed, CLOCK_STEP_MS))
        self.seen = now

    def begin(self, now: int, run: str, drawn: Drawn) -> None:
        """A step, at ``now`` by the server's clock. A server's new run is a new epoch."""
        self.tick(now)
        self.drawn, self.given = drawn, []
        if run != self.run:
            self.run = run
            self._begin_epoch()
        self._let_time_end()

    def _begin_epoch(self) -> None:
        """What is on record may be neither all nor current: who had permits will say so."""
        for name in [*self.sessions, *self.absent]:
            self.absent[name] = self._open_until(name, self.clock + self.hold)
        was = {priority: queue.virtual for priority, queue in self.queues.items()}
        self.queues = {p: FairQueue(was.get(p, 0)) for p in ("live", "background")}
        self.sessions, self.permits = {}, {}
        self.epoch = self.drawn.epoch
        self.began, self.window = self.clock, self.clock + self.linger
        self.registered = self.since_background = self.provider.successes = 0
        self.provider.close_circuit()

    def _let_time_end(self) -> None:
        """A lapsed session's permits count until none of its requests can still run."""
        for _, name in sorted((session.until, name) for name, session in self.sessions.items()):
            session = self.sessions[name]
            if session.until <= self.clock:
                self._drop_waiters(name)
                if session.state == "live" and self.held(name):
                    session.state = "quarantined"
                    session.until = self.clock + self.hold - self.lease
                else:
                    self._remove(name, 0)
        self.absent = {name: by for name, by in self.absent.items() if by > self.clock}
        for permit in self.held(NOBODY):
            if self.permits[permit].until <= self.clock:
                del self.permits[permit]

    # -- sessions -------------------------------------------------------------------------

    def held(self, name: str) -> list[str]:
        return [permit for permit, its in self.permits.items() if its.owner == name]

    def register(self, name: str, number: int, known: Known, held: Iterable[HeldPermit]) -> bool:
        """``name`` has these permits and no others; ``queue_again`` its waiters next. True if it is
        new in this epoch: then tell at the step's end that it ``came_back``.
        """
        new = name not in self.sessions
        self._remember(known)
        if known.epoch not in ("", self.epoch):
            self._expect_roster(name, known)
        self._drop_waiters(name)
        self.absent.pop(name, None)
        self.sessions[name] = Session(number)
        mine = {permit.id: Permit(name, permit.priority) for permit in held}
        others = {i: permit for i, permit in self.permits.items() if permit.owner != name}
        self.permits = mine | others
        return new

    def came_back(self, name: str) -> None:
        """Not what it gave back at once: that may have been somebody else's since."""
        self.registered += len(self.held(name))

    def _remember(self, known: Known) -> None:
        provider, fresh = self.provider, not known.epoch
        if not provider.tier:
            provider.set_tier(known.tier)
        if fresh and provider.configured not in (0, known.configured):
            provider.set_tier(known.configured)
        if fresh or not provider.configured:
            provider.configured = known.configured

    def _expect_roster(self, caller: str, known: Known) -> None:
        """Whom the caller knew in a former epoch, and who may have requests open."""
        told = {"live": known.virtual_live, "background": known.virtual_background}
        for priority, queue in self.queues.items():
            queue.virtual = max(queue.virtual, told[priority])
        for name in known.roster:
            by = self._open_until(name, self.began + self.hold)
            if name != caller and name not in self.sessions and self.clock < by:
                self.absent[name] = by

    def _open_until(self, name: str, by: int) -> int:
        """Fenced, it has no socket; what it had cut lingers."""
        return min(by, self.fenced[name] + self.linger) if name in self.fenced else by

    def expect_living(self, name: str) -> None:
        by = self.began + self.hold
        if self.clock < by and name not in self.sessions and name not in self.fenced:
            self.absent.setdefault(name, by)

    def acknowledge(self, name: str, acked: int) -> None:
        session = self.sessions[name]
        if session.acked < acked <= session.granted:
            session.acked = acked
            session.silent = self.clock if acked < session.granted else 0
        session.until = self.clock + self.lease

    def fence(self, name: str) -> None:
        """Its sockets are closed, maybe only now."""
        if name in self.sessions and name not in self.fenced:
            self._remove(name, self.linger)
        elif self.recovering and name not in self.fenced:
            self.absent[name] = self.clock + self.linger
        self.fenced.setdefault(name, self.clock)

    def _remove(self, name: str, linger: int) -> None:
        for permit in self.held(name):
            self._take_back(permit, linger)
        self._drop_waiters(name)
        del self.sessions[name]

    # -- waiting --------------------------------------------------------------------------

    def acquire(self, name: str, number: int, priority: str, flow: str, age: int) -> None:
        """``age``: ms since it queued first, or -1."""
        if self.find(name, number) is None:
            self.arrivals += 1
            again = self.clock - age - HEAD
            tag = self.queues[priority].round_for(flow) if age < 0 else again
            self.queue_again(Waiting(name, number, priority, flow, tag, self.arrivals))

    def queue_again(self, waiting: Waiting) -> None:
        """A waiter that knows its place of old."""
        self.arrivals = max(self.arrivals, waiting.arrival)
        self.queues[waiting.priority].join(waiting)

    def waiters(self, name: str) -> list[Waiting]:
        return [one for q in self.queues.values() for one in q.waiting if one.session == name]

    def find(self, name: str, number: int) -> Waiting | None:
        return next((one for one in self.waiters(name) if one.number == number), None)

    def leave(self, name: str, number: int) -> None:
        if one := self.find(name, number):
            self.queues[one.priority].leave(one)

    def _drop_waiters(self, name: str) -> None:
        for one in sorted(self.waiters(name), key=lambda one: -one.tag):
            self.queues[one.priority].leave(one)

    # -- permits --------------------------------------------------------------------------

    def release(self, name: str, permit: str, outcome: str) -> bool:
        """False where ``name`` does not have it: nothing is done."""
        if permit not in self.held(name):
            return False
        epoch, _, number = permit.rpartition(":")
        linger = self.provider.linger(outcome, self.linger)
        if outcome != "unused" and epoch == self.epoch:
            self.provider.learn(
                int(number), outcome,
                used=len(self.permits), seq=self.seq, pause_ends=self.drawn.pause_ends,
            )  # fmt: skip
        self._take_back(permit, linger)
        return True

    def _take_back(self, permit: str, linger: int) -> None:
        """With a linger it goes on counting, as nobody's."""
        its = self.permits.pop(permit)
        if linger:
            self.permits[permit] = Permit(NOBODY, its.priority, until=self.clock + linger)

    @property
    def recovering(self) -> bool:
        return self.clock < self.window or bool(self.absent)

    @property
    def admissible(self) -> int:
        limit = self.provider.limit
        return min(limit, self.registered) if self.recovering else limit

    def hand_out(self) -> None:
        """While a permit is free and somebody waits whose worker answers."""
        while len(self.permits) < self.admissible and self._platform_allows():
            if (one := self._next()) is None:
                return
            self.queues[one.priority].serve(one)
            self.seq += 1
            session, permit = self.sessions[one.session], f"{self.epoch}:{self.seq}"
            session.granted += 1
            session.silent = session.silent or self.clock
            self.permits[permit] = Permit(one.session, one.priority, session.granted, one.number)
            self.given.append(Given(one.session, session.granted, one.number, permit))
            if self.provider.trips:
                self.provider.probe = self.seq

    def _platform_allows(self) -> bool:
        """While the circuit is open: after its pause, one at a time."""
        probe = self.permits.get(f"{self.epoch}:{self.provider.probe}")
        trying = probe and probe.owner != NOBODY and self.sessions[probe.owner].state == "live"
        return not self.provider.trips or (self.clock >= self.provider.circuit_until and not trying)

    def answers(self, name: str) -> bool:
        session = self.sessions[name]
        owes = session.silent and self.clock - session.silent > ACK_MS
        return session.state == "live" and not owes

    def _first(self, priority: str) -> Waiting | None:
        in_order = self.queues[priority].in_order()
        return next((one for one in in_order if self.answers(one.session)), None)

    def background_has_room(self) -> bool:
        limit = self.provider.limit
        cap = max(1, limit - max(2, int(0.04 * limit)))
        return sum(permit.priority == "background" for permit in self.permits.values()) < cap

    def _next(self) -> Waiting | None:
        """Live before background; of twenty grants, one is background's."""
        live = self._first("live")
        background = self._first("background") if self.background_has_room() else None
        turn = self.since_background >= BACKGROUND_EVERY - 1 and not self.provider.trips
        if background and (turn or not live):
            self.since_background = 0
            return background
        self.since_background += bool(live and background)
        return live
