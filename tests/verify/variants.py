"""The variants of the model: the design as it is, within several bounds, or with a part taken away.

A variant that is known to be bad proves that the model can see the fault: if its search finds
nothing, the model has become blind, and what it says of the design is worth nothing.
"""

from collections.abc import Sequence
from typing import NamedTuple

HOLDS = "holds"
TIER = "over the tier"
LEFT = "something is left"
STARVES = "somebody starves"


class Variant(NamedTuple):
    """``flags`` are for the model's text, as `-D` has them; ``expected`` is HOLDS or what breaks.

    ``fair`` looks for somebody who waits for ever, under weak fairness, instead of a bad state.
    ``quick``: also a part of the test suite. ``heavy``: millions of states.
    """

    name: str
    flags: str
    expected: str = HOLDS
    fair: bool = False
    quick: bool = False
    heavy: bool = False

    @property
    def good(self) -> bool:
        return self.expected == HOLDS


THREE = "N=3 L=2"  # otherwise two workers share one permit

DESIGN = (
    # What may go wrong, alone and together, as far as a search of all orders can reach.
    Variant("restart, empty: 3 workers, 2 permits", f"{THREE} RESTARTS=1", heavy=True),
    Variant("restart; a lease, a reply", "RESTARTS=1 LAPSES=1 LOST_REPLIES=1", heavy=True),
    Variant("restart; a late step, a reply", "RESTARTS=1 GHOSTS=1 LOST_REPLIES=1", heavy=True),
    Variant(
        "cancellations, cuts; a lease, a push, a reply",
        "CANCELS=1 CUTS=1 LAPSES=1 LOST_PUSHES=1 LOST_REPLIES=1",
        heavy=True,
    ),
    Variant(
        "cancellations; a lease, a push: 3 workers",
        "N=3 CANCELS=1 LAPSES=1 LOST_PUSHES=1",
        heavy=True,
    ),
    Variant("failover: 3 workers", "N=3 FAILOVERS=1", heavy=True),
    Variant("2 leases: 3 workers, 2 permits", f"{THREE} LAPSES=2", heavy=True),
    Variant("restart; cancellations, cuts, a push", "RESTARTS=1 CANCELS=1 CUTS=1 LOST_PUSHES=1"),
    Variant("restart; a kill, a newcomer", "L=2 RESTARTS=1 KILLS=1 JOINERS=1"),
    Variant("2 restarts", "RESTARTS=2"),
    Variant("restart: the roster alone", "RESTARTS=1 NOT_TOLD", quick=True),
    Variant("failover; a lease, a newcomer", "FAILOVERS=1 LAPSES=1 JOINERS=1"),
    Variant("kills, cuts, fence notices: 3 workers", "N=3 KILLS=2 CUTS=1"),
    Variant("a kill, a cut, a lease", "L=2 KILLS=1 CUTS=1 LAPSES=1", quick=True),
    Variant("a late step, a lease, a reply", "GHOSTS=1 LAPSES=1 LOST_REPLIES=1"),
    Variant(
        "check, then start; killed first", f"{THREE} CHECK_THEN_START KILLED_FIRST LAPSES=1 KILLS=1"
    ),
    Variant("caller-owned I/O, with receipts", "CALLER_OWNS_IO CANCELS=1"),
    # Who waits is served, whatever the others do.
    Variant("live: 3 workers, 2 permits", THREE, fair=True),
    Variant("live: a lease, a push, a reply", "LAPSES=1 LOST_PUSHES=1 LOST_REPLIES=1", fair=True),
    Variant("live: cancellations, a lease", "CANCELS=1 LAPSES=1", fair=True),
    Variant("live: a kill, a cut", "KILLS=1 CUTS=1", fair=True),
    Variant("live: restart", "RESTARTS=1", fair=True),
    Variant("live: failover", "FAILOVERS=1", fair=True),
)

KNOWN_BAD = (
    # A lapsed lease is no proof that the request has ended.
    Variant("lease only, no quarantine", "LEASE_ONLY LAPSES=1", TIER, quick=True),
    Variant("no deadline check before the start", "NO_CHECK LAPSES=1", TIER),
    Variant("check, then start", "CHECK_THEN_START LAPSES=1", TIER),
    Variant("a reply revives a passed deadline", "REVIVES_LATE LAPSES=1", TIER),
    Variant("no linger after a cut", "NO_LINGER CUTS=1", TIER),
    # A server that forgot.
    Variant("restart without a window", "NO_WINDOW RESTARTS=1", TIER),
    Variant("a window for the living only", "FOR_THE_LIVING RESTARTS=1", TIER),
    Variant("roster not honoured", "NO_ROSTER NOT_TOLD RESTARTS=1", TIER),
    Variant("nobody tells of newcomers", "NOT_TOLD RESTARTS=1 JOINERS=1", TIER),
    Variant(
        "only known sessions are fenced", "FENCES_THE_KNOWN RESTARTS=1 KILLS=1 JOINERS=1", TIER
    ),
    Variant("names without an epoch", f"NAMES_WITHOUT_EPOCH {THREE} RESTARTS=1", TIER),
    Variant("returned ones count as back", "COUNTS_RETURNED RESTARTS=1 LOST_REPLIES=1", TIER),
    Variant("passed deadlines count as back", "LISTS_LATE RESTARTS=1 LAPSES=1", TIER),
    Variant("failover without an epoch: grants", "NO_EPOCH FAILOVERS=1 TIER_ONLY", TIER),
    Variant("failover without an epoch: releases", "NO_EPOCH FAILOVERS=1", LEFT),
    # What gets lost, or comes late.
    Variant("a registration is decided late", "LATE_WORDS_COUNT GHOSTS=1 LOST_REPLIES=1", TIER),
    Variant("caller-owned I/O", "CALLER_OWNS_IO NO_REPEAT", LEFT, quick=True),
    Variant("a lost push is never repeated", "NO_REPEAT LOST_PUSHES=1", LEFT),
    Variant("live: no push is repeated", "NO_REPEAT LOST_PUSHES=1", STARVES, fair=True),
    Variant("live: the newest first", "NEWEST_FIRST", STARVES, fair=True),
)

ALL = DESIGN + KNOWN_BAD


class UnknownVariant(Exception):
    """The text names those that there are."""


def selected(words: str, variants: Sequence[Variant] = ALL) -> list[Variant]:
    """Those with ``words`` in their name or flags; all of them for "". Raises UnknownVariant."""
    wanted = words.strip().lower()
    chosen = [one for one in variants if wanted in f"{one.name} {one.flags}".lower()]
    if not chosen:
        names = "\n".join(f"  {one.name}" for one in variants)
        raise UnknownVariant(f"no variant has {words!r} in its name or flags; there are:\n{names}")
    return chosen
