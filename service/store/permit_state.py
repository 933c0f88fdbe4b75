"""The semaphore at one moment, as people look at it; lua/permits_view.lua makes it."""

import msgspec


class SessionState(msgspec.Struct):
    """``state``: live or quarantined. ``due_ms``: until its lease or its quarantine ends."""

    state: str
    held: int
    unseen: int  # grants that it has not confirmed yet
    waiting: int
    due_ms: int


class QueueState(msgspec.Struct):
    """One site's waiters of one class. ``first``: the best place among them, 1 is next."""

    site: str
    priority: str
    waiting: int
    first: int


class CircuitState(msgspec.Struct):
    """``state``: closed; open for ``left_ms``; or probing, one request at a time."""

    state: str = "closed"
    code: int = 0
    left_ms: int = 0
    trips: int = 0


class RefusedState(msgspec.Struct):
    """How often the provider refused for too many at once (1302, 1303), and when last.

    ``lag_ms``: what its refusals taught us of how long it counts a request after its end.
    """

    times: int = 0
    last_ms: int = 0
    lag_ms: int = 0


class BlockedState(msgspec.Struct):
    """The provider refuses the account itself: ``code`` is not 0, since so long, so often."""

    code: int = 0
    times: int = 0
    since_ms: int = 0


class PermitsState(msgspec.Struct):
    """``used`` is all that counts: held, quarantined, lingering."""

    epoch: str = ""
    schema: int = 0
    tier: int = 0  # what the workers were told that the account has
    cap: int = 0  # the tier, or the limit that an operator set
    limit: int = 0  # the cap, less what the provider refused of late
    admissible: int = 0  # the limit, or while an epoch recovers what has been registered again
    recovering: bool = False
    absent: list[str] = []  # sessions that the epoch waits for
    hold_ms: float = 0
    used: int = 0
    background: int = 0
    waiting_live: int = 0
    waiting_background: int = 0
    sessions: dict[str, SessionState] = {}
    queues: list[QueueState] = []
    waits: dict[str, list[int]] = {}  # class -> the newest waits, ms, newest first
    circuit: CircuitState = msgspec.field(default_factory=CircuitState)
    refused: RefusedState = msgspec.field(default_factory=RefusedState)
    blocked: BlockedState = msgspec.field(default_factory=BlockedState)

    @property
    def held(self) -> int:
        return sum(s.held for s in self.sessions.values() if s.state == "live")

    @property
    def quarantined(self) -> int:
        return sum(s.held for s in self.sessions.values() if s.state == "quarantined")

    @property
    def lingering(self) -> int:
        return self.used - self.held - self.quarantined

    @property
    def waiting(self) -> int:
        return self.waiting_live + self.waiting_background

    def why(self) -> list[str]:
        """Each reason why fewer than the tier may be in use; none where all of it may."""
        reasons = []
        if self.cap < self.tier:
            reasons.append(f"an operator's limit of {self.cap}")
        if self.limit < self.cap:
            reasons.append(
                f"the provider refused {_times(self.refused.times)} for too many at once "
                f"(1302, 1303), last {_ago(self.refused.last_ms)}; successes raise the limit again"
            )
        if self.recovering:
            waits = ", ".join(sorted(self.absent)) or "a moment, in case anybody comes back"
            reasons.append(f"Redis is new, restarted or failed over: it waits for {waits}")
        if self.circuit.state == "open":
            reasons.append(
                f"the platform is full ({self.circuit.code}): nothing is asked for "
                f"{self.circuit.left_ms / 1000:.1f} s"
            )
        if self.circuit.state == "probing":
            reasons.append(f"the platform was full ({self.circuit.code}): one request tries it")
        return reasons


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _ago(ms: int) -> str:
    seconds = ms / 1000
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"
