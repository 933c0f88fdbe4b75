"""The permit functions on a real server whose time and restarts a test decides, and their callers.

`Server.step` makes one step and returns, beside the reply, all that is on record after it. A `Peer`
is a worker as the functions see one: it knows what replies and pushes have told it, and no more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import redis

from service.core.queueing import MARGIN_S, HeldPermit, Receipts, Waiter
from service.store import keys
from service.store.connection import Argument
from service.store.permit_steps import (
    Grant,
    Known,
    Reply,
    Timing,
    library,
    read_grants,
    read_reply,
    registration,
)

NOW, RUN = "walk:now", "walk:run"
# Time and run id are keys. Loading the library anew empties its locals, as a new process would.
CLOCK = f"""
local function server(...) return redis.call(...) end
local redis = {{ register_function = redis.register_function }}
function redis.call(command, ...)
  if command == 'INFO' then return 'run_id:' .. server('GET', '{RUN}') end
  return server(command, ...)
end
local function now_ms() return tonumber(server('GET', '{NOW}')) end
"""
FAR = "local SCHEMA = 99"
KEYS = keys.permits("walk", "model")


# -- the record -------------------------------------------------------------------------------


class Row(NamedTuple):
    """A session's."""

    state: str
    registration: int
    granted: int
    acked: int
    silent: int
    held: int
    sum: int


class PermitRow(NamedTuple):
    owner: str
    priority: str
    number: int
    waiter: int  # 0: none


class Queued(NamedTuple):
    session: str
    number: int
    tag: int


@dataclass
class Record:
    """All that the server has."""

    meta: dict[str, str]
    sessions: dict[str, Row]
    permits: dict[str, PermitRow]
    queues: dict[str, list[Queued]]
    alarms: dict[str, int]
    absent: set[str]
    fenced: dict[str, int]
    pushed: dict[str, tuple[int, list[Grant]]]  # the newest entry of each inbox

    @property
    def clock(self) -> int:
        return int(self.meta["clock"])

    def answers(self, name: str) -> bool:
        row = self.sessions[name]
        return row.state == "live" and (row.silent == 0 or self.clock - row.silent <= 250)

    def held(self, priority: str) -> int:
        return sum(row.priority == priority for row in self.permits.values())


def _row(text: str) -> Row:
    state, *numbers = text.split()
    return Row(state, *map(int, numbers))


def _permit_row(text: str) -> PermitRow:
    owner, priority, number, _, waiter = text.split()
    return PermitRow(owner, priority, int(number), 0 if waiter == "-" else int(waiter))


def _queue(found: list[tuple[bytes, float]]) -> list[Queued]:
    split = [(member.decode().split(":"), int(tag)) for member, tag in found]
    return [Queued(session, int(number), tag) for (_, session, number), tag in split]


def _newest(entries: list[Any]) -> tuple[int, list[Grant]]:
    fields = entries[0][1]
    return int(fields[b"r"]), read_grants(fields[b"g"])


# -- the server -------------------------------------------------------------------------------


class Server:
    def __init__(self, client: "redis.Redis[bytes]") -> None:
        self._client = client
        self._library = library(clock=CLOCK)
        self._far = library(clock=CLOCK, permits_schema=FAR)
        self._runs = count(1)
        self.run = ""
        client.function_load(self._far.source, replace=True)

    def restart(self, *, empty: bool) -> None:
        """Another process: nothing in its locals, and another run id."""
        if empty:
            self._client.flushall()
        self.run = f"{next(self._runs):04x}".ljust(40, "0")
        self._client.set(RUN, self.run)
        self._client.function_load(self._library.source, replace=True)

    def replica(self) -> dict[bytes, bytes]:
        """What a replica has that lags from now on."""
        return {key: self._client.dump(key) for key in self._client.scan_iter("parley:*")}

    def promote(self, replica: dict[bytes, bytes]) -> None:
        self.restart(empty=True)
        for key, dumped in replica.items():
            self._client.restore(key, 0, dumped)

    def left(self) -> set[str]:
        """Names of the keys, without what they share."""
        return {key.decode().rpartition("}:")[2] for key in self._client.scan_iter("parley:*")}

    def step(
        self,
        now: int,
        session: str,
        words: list[Argument],
        names: Iterable[str] = (),
        *,
        far: bool = False,
    ) -> tuple[Reply, Record]:
        """One step of ``session`` at ``now``; the inboxes of ``names`` are looked at.

        ``far``: by functions whose schema is far from that of all others.
        """
        function = (self._far if far else self._library).function("permits")
        names = list(names)
        pipe = self._client.pipeline(transaction=False)
        pipe.set(NOW, now)
        pipe.fcall(function.name, len(KEYS), *KEYS, session, *words)
        for key in (KEYS.meta, KEYS.sessions, KEYS.permits):
            pipe.hgetall(key)
        for key in (KEYS.live, KEYS.background, KEYS.alarms, KEYS.fenced):
            pipe.zrange(key, 0, -1, withscores=True)
        pipe.smembers(KEYS.absent)
        for name in names:
            pipe.xrevrange(keys.permits_inbox("walk", "model", name), count=1)
        _, reply, meta, sessions, permits, live, background, *more = pipe.execute()
        alarms, fenced, absent, *inboxes = more
        return read_reply(reply), Record(
            meta={name.decode(): value.decode() for name, value in meta.items()},
            sessions={name.decode(): _row(text.decode()) for name, text in sessions.items()},
            permits={name.decode(): _permit_row(text.decode()) for name, text in permits.items()},
            queues={"live": _queue(live), "background": _queue(background)},
            alarms={name.decode(): int(at) for name, at in alarms},
            absent={name.decode() for name in absent},
            fenced={name.decode(): int(at) for name, at in fenced},
            pushed={name: _newest(got) for name, got in zip(names, inboxes, strict=True) if got},
        )


# -- a worker ---------------------------------------------------------------------------------


@dataclass
class Peer:
    """``now`` is always seconds of its own clock."""

    name: str
    known: Known
    state: str = "awake"  # or paused, or dead
    number: int = 0  # of its registration
    must_register: bool = True
    contact: float = 0.0  # its lease was renewed no earlier
    receipts: Receipts = field(default_factory=Receipts)
    held: dict[str, HeldPermit] = field(default_factory=dict)
    waiters: dict[int, Waiter] = field(default_factory=dict)
    unsaid: list[tuple[HeldPermit, str]] = field(default_factory=list)  # releases
    post: list[tuple[int, list[Grant]]] = field(default_factory=list)  # pushes that it has not read
    given_back: list[str] = field(default_factory=list)

    def head(self, timing: Timing) -> list[Argument]:
        """What stands before the words of a step."""
        known, acked = self.known, self.receipts.through
        return [self.number, known.epoch, acked, known.roster_number, *timing.words()]

    def registration(self, held: list[HeldPermit], now: float) -> list[Argument]:
        """``held`` and all that it waits for, under a new number."""
        self.number += 1
        self.receipts = Receipts()
        fresh = not self.known.epoch
        return registration(self.known, held, self.waiters.values(), fresh=fresh, now=now)

    def unheard(self, releases: list[tuple[HeldPermit, str]]) -> None:
        """The step failed, or this worker is not known."""
        self.unsaid[:0] = releases
        self.must_register = True

    def learn(self, reply: Reply, now: float, hold_s: float) -> None:
        """What an answered step says, except for its grants."""
        self.contact = now
        self.known.learn(reply)
        for permit in self.held.values():
            if permit.deadline > now:
                permit.deadline = self._deadline(hold_s)
        for number, _ in reply.refused:
            self.waiters.pop(number, None)
        for place in reply.places:
            if (waiter := self.waiters.get(place.waiter)) and place.position > 0:
                waiter.tag, waiter.arrival = place.tag, place.arrival

    def take(self, number: int, grants: list[Grant], now: float, hold_s: float) -> list[str]:
        """Grants made under the registration ``number``. Returns the permits that are now used."""
        begun = []
        for grant in grants if number == self.number else []:
            if not self.receipts.take(grant.number):
                continue
            deadline = self._deadline(hold_s)
            waiter = self.waiters.pop(grant.waiter, None)
            if waiter is None or deadline <= now:
                self.unsaid.append((HeldPermit(grant.permit, "live", now, 0, deadline), "unused"))
                if waiter is not None:
                    self.waiters[waiter.number] = waiter
                    self.must_register = True
            else:
                permit = HeldPermit(grant.permit, waiter.priority, now, 0, deadline)
                self.held[grant.permit] = permit
                begun.append(grant.permit)
        return begun

    def give_back(self, permit: str, outcome: str) -> None:
        self.unsaid.append((self.held.pop(permit), outcome))
        self.given_back.append(permit)

    def _deadline(self, hold_s: float) -> float:
        return self.contact + hold_s - MARGIN_S
