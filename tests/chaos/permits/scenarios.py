"""What happens to the permits, one scenario after the other, and what must come of it.

A scenario is a play on a stage whose tier is full, with a backlog of two thirds of the callers.
"""

from dataclasses import dataclass, field

from tests.chaos.permits import plays
from tests.chaos.permits.orders import Orders
from tests.chaos.permits.plays import Lengths, Play
from tests.chaos.permits.terms import GREED, WORKERS

LAG_MS = 20  # an upstream's place stays taken so long after the last byte
DISCONNECT_MS = 500  # until it notices a closed socket; less than the linger (1 s)
UNKNOWNS: dict[str, object] = {
    "release_lag_ms": LAG_MS, "disconnect_delay_ms": DISCONNECT_MS, "write_stall": True,
}  # fmt: skip
RELEASE_S = 0.03  # past the lag, since the upstream's own clock may be late
UNTOLD_LAG_MS = 50  # where nobody has set the linger: found out in steps of 20 ms, by refusals


@dataclass(frozen=True)
class Wanted:
    """``utilisation``: at least so much; where nobody asks for more, enough to know that it did not
    hang. ``over``: over-tier starts at most. ``fault``: one was built in, and must be seen by them.
    """

    utilisation: float
    over: int = 0
    fault: bool = False

    @property
    def said(self) -> str:
        """The over-tier starts that are wanted, in a word."""
        return "some" if self.fault else f"<= {self.over}" if self.over else "0"


LEASE_S = 5.0  # the product's own
HOLDS_MS = (600, 1800)


@dataclass(frozen=True)
class Scenario:
    """``stops``: a worker is stopped in it. So leases are short, requests outlive them, and answers
    are such that they cannot be written to who does not read.
    """

    name: str
    title: str
    play: Play
    wanted: Wanted
    cancelled: float = 0.0
    stops: bool = False
    holds_ms: tuple[int, int] | None = None
    replicated: bool = False
    lease_only: bool = False
    release_s: float = RELEASE_S
    switches: dict[str, object] = field(default_factory=lambda: dict(UNKNOWNS))

    def orders(self, *, tier: int, lengths: Lengths, seed: int) -> Orders:
        """What its workers are told, but for the addresses."""
        lease_s = lengths.lease if self.stops else LEASE_S
        return Orders(
            url="",
            session="",
            upstream="",
            tier=tier,
            callers=GREED * tier // WORKERS,
            hold_ms=self.holds_ms or (lengths.outliving_ms if self.stops else HOLDS_MS),
            seed=f"{seed} {self.name}",
            cancelled=self.cancelled,
            release_s=self.release_s,
            lease_s=lease_s,
            heartbeat_s=min(1.0, lease_s / 5),
            answers="heavy" if self.stops else "light",
            lease_only=self.lease_only,
        )


STORM = Scenario(
    "storm", "anything, as the seed has it", plays.storm, Wanted(0.40), stops=True,
    holds_ms=(300, 3000),
)  # fmt: skip
SCENARIOS = (
    Scenario("steady", "steady", plays.steady, Wanted(0.95)),
    Scenario("cancelled", "10 % of waiters cancelled", plays.steady, Wanted(0.93), cancelled=0.1),
    Scenario(
        "worker-paused", "a worker stopped for 6 s", plays.worker_paused, Wanted(0.60),
        stops=True,
    ),
    Scenario(
        "lease-only", "a worker stopped, no quarantine", plays.worker_paused,
        Wanted(0.60, fault=True), stops=True, lease_only=True,
    ),
    Scenario(
        "worker-killed", "a worker killed, from 1.5 to 10 s after", plays.worker_killed,
        Wanted(0.97),
    ),
    Scenario("valkey-paused", "Valkey stopped for 4 s", plays.valkey_paused, Wanted(0.35)),
    Scenario("valkey-emptied", "Valkey restarted empty", plays.valkey_emptied, Wanted(0.85)),
    Scenario(
        "valkey-paused-over-worker", "Valkey stopped, and a worker",
        plays.valkey_paused_over_worker, Wanted(0.40), stops=True,
    ),
    Scenario(
        "valkey-emptied-over-worker", "Valkey restarted empty, a worker stopped",
        plays.valkey_emptied_over_worker, Wanted(0.60), stops=True,
    ),
    Scenario(
        "replica-promoted", "a lagging replica promoted", plays.replica_promoted, Wanted(0.85),
        replicated=True,
    ),
    Scenario(
        "untold-lag", "a lag that nobody was told of", plays.steady, Wanted(0.90, over=12),
        release_s=0.0, switches={**UNKNOWNS, "release_lag_ms": UNTOLD_LAG_MS, "enforce_tier": True},
    ),
    STORM,
)  # fmt: skip
