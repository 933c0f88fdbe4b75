"""What a worker and the permit functions say to each other: the words of `lua/permits.lua`."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from service.core.queueing import HOLD_S, HeldPermit, Waiter
from service.store.connection import Argument
from service.store.functions import Library, build

SHARED = (
    *("permits_schema", "permits_log", "permits_state", "permits_queue", "permits_circuit"),
    *("permits_limit", "permits_grants", "permits_sessions"),
)


def library(**instead: str) -> Library:
    """The permit functions, with other texts for files of `lua/`: ``library(clock=TEXT)``."""
    return build("permits", ("permits", "permits_view"), shared=SHARED, instead=instead)


class Timing(NamedTuple):
    """The seconds that decide when a permit is free. The same for all workers of an account."""

    linger_s: float = 1.0  # nobody documents when the provider notices a closed socket
    lease_s: float = 5.0  # of a session; heartbeats come each second, four may be lost
    hold_s: float = HOLD_S
    heartbeat_s: float = 1.0
    # After a request that ended by itself. 0: free at its last byte. For a provider that is known
    # to count it longer; what is not known is learned from its refusals.
    release_s: float = 0.0

    def words(self) -> tuple[int, int, int, int]:
        seconds = self.linger_s, self.lease_s, self.hold_s, self.release_s
        linger, lease, hold, release = (round(s * 1000) for s in seconds)
        return linger, lease, hold, release


class Grant(NamedTuple):
    number: int  # of this session's grants
    waiter: int
    permit: str


class Place(NamedTuple):
    waiter: int
    position: int
    tag: int
    arrival: int


class Reply(NamedTuple):
    """What a step returns; lua/permits.lua says what each means."""

    status: str
    epoch: str
    used: int
    admissible: int
    limit: int
    tier: int
    pace_us: int
    hold_us: int
    virtual_live: int
    virtual_background: int
    due_ms: int
    grants: list[Grant]
    repeated: list[Grant]
    places: list[Place]
    refused: list[tuple[int, int]]
    roster_number: int
    roster: list[str]
    unknown: list[str]  # releases of what the caller did not have
    closed_ms: int  # until the circuit lets one request try; -1: it is closed
    blocked: int  # the provider's code for an account that may not; 0: it may
    configured: int  # the account's tier, as the workers were told


def read_reply(raw: Sequence[Any]) -> Reply:
    status, epoch, *numbers = raw[:11]
    grants, repeated, places, refused, roster_number, roster, unknown, *provider = raw[11:]
    return Reply._make(
        [
            status.decode(),
            epoch.decode(),
            *numbers,
            read_grants(grants),
            read_grants(repeated),
            [Place(*places[at : at + 4]) for at in range(0, len(places), 4)],
            [(refused[at], refused[at + 1]) for at in range(0, len(refused), 2)],
            roster_number,
            [name.decode() for name in roster],
            [permit.decode() for permit in unknown],
            *provider,
        ]
    )


def read_grants(text: bytes) -> list[Grant]:
    """Grants as replies and inbox entries have them: "number waiter permit ..."."""
    words = text.decode().split()
    return [
        Grant(int(words[at]), int(words[at + 1]), words[at + 2]) for at in range(0, len(words), 3)
    ]


class Known(msgspec.Struct):
    """What a worker remembers of the last reply, for a server that has lost it."""

    configured: int
    tier: int
    epoch: str = ""
    hold_us: int = 0
    virtual_live: int = 0
    virtual_background: int = 0
    roster_number: int = 0
    roster: list[str] = []

    def learn(self, reply: Reply) -> None:
        self.epoch = reply.epoch
        self.tier = reply.tier
        self.hold_us = reply.hold_us
        self.virtual_live = reply.virtual_live
        self.virtual_background = reply.virtual_background
        if reply.roster:
            self.roster_number, self.roster = reply.roster_number, reply.roster


def registration(
    known: Known,
    held: Iterable[HeldPermit],
    waiters: Iterable[Waiter],
    *,
    fresh: bool,
    now: float,
) -> list[Argument]:
    """The operation `x`: all that this worker has."""
    words: list[Argument] = ["x", known.configured, known.tier, int(fresh), known.hold_us]
    words += [known.virtual_live, known.virtual_background]
    words += [len(known.roster), *known.roster]
    permits = list(held)
    words.append(len(permits))
    for permit in permits:
        words += [permit.id, permit.priority, max(0, round((now - permit.granted) * 1000))]
    queued = list(waiters)
    words.append(len(queued))
    for waiter in queued:
        words += [waiter.number, waiter.priority, waiter.flow, _age_ms(waiter, now)]
        placed = waiter.arrival is not None and waiter.tag is not None
        words += [waiter.tag or 0, waiter.arrival or 0] if placed else ["", ""]
    return words


def acquisition(waiter: Waiter, now: float) -> list[Argument]:
    """The operation `a`."""
    patience_ms = max(0, round((waiter.deadline - now) * 1000))
    return [
        *("a", waiter.number, waiter.priority, waiter.flow),
        *(_age_ms(waiter, now), patience_ms),
    ]


def heartbeat(held: Iterable[HeldPermit], waiting: int) -> list[Argument]:
    """The operation `h`."""
    numbers = [int(permit.id.rpartition(":")[2]) for permit in held]
    return ["h", len(numbers), sum(numbers), waiting]


def _age_ms(waiter: Waiter, now: float) -> int:
    return -1 if waiter.since is None else max(0, round((now - waiter.since) * 1000))


def waited(priority: str, waits_ms: Collection[int]) -> list[Argument]:
    """The operation `w`."""
    return ["w", priority, len(waits_ms), *waits_ms]
