"""Waiting for a permit: what a worker knows of its waiters, its permits and its grants.

Values and rules only. Times are seconds of one monotonic clock, given by the caller.
"""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import inf
from typing import Literal

# A request may run for so long after its worker last heard that its lease was renewed. What counts
# it ends later by the margin, so that a request is always cut before its permit is given away.
HOLD_S = 120.0
MARGIN_S = 2.0
SWEEP_MIN = 1024  # deadlines kept before those of who has left are looked for
TELL_MS = 1000  # of ETA at an unchanged place: a display in seconds shows no less

QueueClass = Literal["live", "background"]


@dataclass(slots=True)
class HeldPermit:
    """The right to one model request in flight; fits ``flows.ports.Permit``.

    ``outcome`` stays empty unless the holder says what the request came to. Then a context that
    ends in order counts as "ok", one that ends in an exception as "aborted".
    """

    id: str
    priority: QueueClass
    granted: float
    waited_ms: int
    deadline: float
    outcome: str = ""

    def may_count(self, now: float) -> bool:
        """Whether it may still be on record. After that it may be somebody else's, and its request
        was cut a margin before: to say that we have it would count what is not there.
        """
        return self.deadline + MARGIN_S > now


@dataclass(slots=True, kw_only=True)
class Waiter:
    """A queued acquire. ``tag`` and ``arrival`` are known once it is in the queue."""

    number: int
    flow: str
    priority: QueueClass
    asked: float
    deadline: float
    since: float | None
    place: Callable[[int, int], None] | None
    sent: bool = False
    tag: int | None = None
    arrival: int | None = None
    position: int = 0
    eta_ms: int = 0


@dataclass(slots=True)
class Receipts:
    """Which of the numbered grants have come: all up to ``through``, and some beyond.

    Grants come on two connections, in any order, and some twice.
    """

    through: int = 0
    _beyond: set[int] = field(default_factory=set)

    def take(self, number: int) -> bool:
        """Note a grant. False if it has come before."""
        if number <= self.through or number in self._beyond:
            return False
        self._beyond.add(number)
        while self.through + 1 in self._beyond:
            self.through += 1
            self._beyond.remove(self.through)
        return True


@dataclass(slots=True)
class Deadlines:
    """Whose time comes next. Cheaper than a timer for each, of which hardly one ever rings.

    Who leaves by itself stays in the heap until its time, or until most of the heap has left.
    """

    _heap: list[tuple[float, int]] = field(default_factory=list)

    @property
    def next(self) -> float:
        return self._heap[0][0] if self._heap else inf

    def add(self, deadline: float, number: int, *, waiting: Container[int]) -> None:
        """``waiting``: the numbers that still matter."""
        heappush(self._heap, (deadline, number))
        if len(self._heap) >= self._sweep_at:
            self._heap = [entry for entry in self._heap if entry[1] in waiting]
            heapify(self._heap)
            self._sweep_at = max(SWEEP_MIN, 2 * len(self._heap))

    def due(self, now: float) -> Iterator[int]:
        """Take out every number whose deadline has come."""
        while self._heap and self._heap[0][0] <= now:
            yield heappop(self._heap)[1]

    _sweep_at: int = SWEEP_MIN


def eta_ms(position: int, pace_us: int) -> int:
    """Expected wait of the one at ``position``: as many permits have to come free before it."""
    return round(position * pace_us / 1000)


def worth_telling(waiter: Waiter, position: int, eta: int) -> bool:
    """Whether a place differs enough from what the waiter was told last."""
    return position != waiter.position or abs(eta - waiter.eta_ms) >= TELL_MS
