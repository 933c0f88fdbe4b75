"""Random walks of the real permit functions on a real server, beside a small model of them.

Hypothesis draws what workers, their supervisor, an operator, the clock and the server do, and in
what order. After each step the model (tests/support/permit_model.py) must agree with the reply, the
pushes and the whole record: it predicts every grant. And what permits are for is asserted without
the model (``Promises``), so that model and functions cannot be wrong together.

Told and not predicted: the names of epochs, the circuit's pause (which has bounds), the mean hold,
and who is refused for it (which must be due).

    PERMIT_WALKS=5000 pytest tests/store/test_permit_machine.py

looks for new failures. Without it the walks are the same in every run.
"""

import copy
import os
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations, count
from typing import Any, NamedTuple

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from service.core.queueing import HeldPermit, Waiter
from service.store.connection import Argument
from service.store.permit_steps import Known, Reply, Timing, acquisition, heartbeat
from tests.support.permit_model import NOBODY, Drawn, Given, Model
from tests.support.permit_model_queue import Waiting
from tests.support.permit_walk import Peer, Record, Server
from tests.support.valkey import Valkey

WALKS = os.environ.get("PERMIT_WALKS")
STEPS = 40
LEASE_S, HOLD_S = 2.0, 7.0  # short, so that a walk sees leases and quarantines end
DRAINED_S = 40  # the circuit's longest pause, and some
PEERS = 3  # alive at once
TIER_MAX = 6
OUTCOMES = ["ok", "ok", "ok", "aborted", "aborted", "unused", "1302", "1303", "1305", "1113"]
FLOWS = ["shop~a", "shop~b", "shop~c"]
PRIORITIES = ["live", "live", "live", "background"]
IMPATIENT_MS, PATIENT_MS = 400, 600_000
KEPT = {"meta", "fenced", "finish_live", "finish_background"}  # of a record that is drained

index = st.integers(0, 20)  # of whatever there is, modulo its number
flaky = st.sampled_from([False, False, False, False, True])


class Op(NamedTuple):
    """A part of a step, for the functions and for the model."""

    words: list[Argument]
    does: Callable[[Model], Any]
    registers: bool = False  # a registration says it as well, so it is left out there


class Asked(NamedTuple):
    order: int
    epoch: str  # in which it joined the queue first
    priority: str
    flow: str
    again: bool


# -- what permits are for ---------------------------------------------------------------------


class Promises:
    """What must hold whatever the model says: of the record, and of what the provider would see."""

    def __init__(self, tier: int) -> None:
        self._tier = tier
        self._given: set[str] = set()
        self._served: set[tuple[str, int, int]] = set()
        self._flights: dict[str, float] = {}  # permit -> ms at which the provider counts it no more
        self.asked: dict[tuple[str, int], Asked] = {}
        self._orders = count()
        self._live_in_a_row = 0  # live grants since background had one
        self._shares: dict[tuple[str, str], Counter[str]] = {}
        self._unfair: set[str] = set()  # flows that lost waiters, and with them rounds

    # What the walk tells.

    def asks(self, name: str, waiter: Waiter, epoch: str) -> None:
        self.asked[name, waiter.number] = Asked(
            next(self._orders), epoch, waiter.priority, waiter.flow, waiter.since is not None
        )

    def loses(self, flow: str) -> None:
        """A waiter of ``flow`` left without a permit."""
        self._unfair.add(flow)

    def begins(self, permit: str, now: float) -> None:
        """A worker opens a connection."""
        self._flights = {name: end for name, end in self._flights.items() if end > now}
        self._flights[permit] = float("inf")
        assert len(self._flights) <= self._tier, "over the tier"

    def ends(self, permit: str, at: float) -> None:
        if permit in self._flights:
            self._flights[permit] = at

    def clock_leaps(self) -> None:
        """What lingers may linger up to a second less, which is known and accepted."""
        for permit, end in self._flights.items():
            self._flights[permit] = end - 1000

    # What is asked of each step.

    def check(self, record: Record, reply: Reply, given: list[Given]) -> None:
        self._counts(record, reply)
        self._grants(record, reply, given)
        self._order(record, given)
        self._background(record, given)
        self._fairness(record, given)
        if reply.closed_ms < 0:
            self._nothing_idle(record, reply)

    def _counts(self, record: Record, reply: Reply) -> None:
        """What counts is what somebody has, and what lingers."""
        owned = Counter(row.owner for row in record.permits.values())
        assert reply.used == len(record.permits)
        assert reply.used == sum(row.held for row in record.sessions.values()) + owned[NOBODY]
        for name, row in record.sessions.items():
            its = [permit for permit, one in record.permits.items() if one.owner == name]
            assert (row.held, row.sum) == (len(its), sum(map(number_of, its)))
        assert int(record.meta["background"]) == record.held("background")

    def _grants(self, record: Record, reply: Reply, given: list[Given]) -> None:
        """Each permit is given once, each waiter is served once, and none beyond the limit."""
        if given:
            assert reply.used <= reply.admissible <= reply.limit <= reply.tier <= self._tier
        for one in given:
            served = one.session, record.sessions[one.session].registration, one.waiter
            assert one.permit not in self._given
            assert served not in self._served
            self._given.add(one.permit)
            self._served.add(served)
        queued = {(one.session, one.number) for queue in record.queues.values() for one in queue}
        served = {(row.owner, row.waiter) for row in record.permits.values()}
        assert not queued & served, "queued and served"

    def _order(self, record: Record, given: list[Given]) -> None:
        """First come first served, inside a flow."""
        for one in given:
            got = self.asked[one.session, one.waiter]
            for queued in record.queues[got.priority]:
                left = self.asked[queued.session, queued.number]
                comparable = (left.flow, left.epoch) == (got.flow, got.epoch)
                if comparable and not left.again and not got.again and left.order < got.order:
                    assert not record.answers(queued.session), "overtaken in its own flow"

    def _background(self, record: Record, given: list[Given]) -> None:
        """Within its cap, and before live only with every twentieth grant."""
        answering = [one for one in record.queues["live"] if record.answers(one.session)]
        limit = int(record.meta.get("limit", 0))
        for one in given:
            if self.asked[one.session, one.waiter].priority == "live":
                self._live_in_a_row += 1
                continue
            assert record.held("background") <= max(1, limit - max(2, limit * 4 // 100))
            assert not answering or self._live_in_a_row >= 19, "before live, and not its turn"
            self._live_in_a_row = 0

    def _fairness(self, record: Record, given: list[Given]) -> None:
        """While two flows wait, what they get differs by two grants at most."""
        for one in given:
            got = self.asked[one.session, one.waiter]
            for pair, shares in self._shares.items():
                if got.priority == "live" and got.flow in pair:
                    shares[got.flow] += 1
        waiting = self._backlogged(record)
        for pair in list(self._shares):
            if not waiting.issuperset(pair):
                del self._shares[pair]
                continue
            first, second = (self._shares[pair][flow] for flow in pair)
            assert abs(first - second) <= 2, f"unfair: {self._shares[pair]}"
        for pair in combinations(sorted(waiting), 2):
            self._shares.setdefault(pair, Counter())

    def _backlogged(self, record: Record) -> set[str]:
        waiting, passed_over = set(), set(self._unfair)
        for queued in record.queues["live"]:
            one = self.asked[queued.session, queued.number]
            waiting.add(one.flow)
            if one.again or not record.answers(queued.session):
                passed_over.add(one.flow)
        return waiting - passed_over

    def _nothing_idle(self, record: Record, reply: Reply) -> None:
        """While somebody waits whose worker answers, nothing is free."""
        if reply.used >= reply.admissible:
            return
        answering = {
            priority for priority, queue in record.queues.items()
            for one in queue if record.answers(one.session)
        }  # fmt: skip
        assert "live" not in answering, "idle, and live waits"
        if record.held("background") < max(1, reply.limit - max(2, reply.limit * 4 // 100)):
            assert "background" not in answering, "idle, and background waits"


def number_of(permit: str) -> int:
    return int(permit.rpartition(":")[2])


# -- the walk ---------------------------------------------------------------------------------


class PermitWalk(RuleBasedStateMachine):
    client: "Redis[bytes]"

    def __init__(self) -> None:
        super().__init__()
        self.server = Server(self.client)

    @initialize(tier=st.sampled_from([1, 2, 3, 4, 5, 6, 6]), linger_ms=st.sampled_from([0, 300]))
    def start(self, tier: int, linger_ms: int) -> None:
        self.tier = tier
        self.timing = Timing(linger_s=linger_ms / 1000, lease_s=LEASE_S, hold_s=HOLD_S)
        self.model = self.new_model()
        self.promises = Promises(tier)
        self.true_ms = 0  # what passes; the server's clock may be moved besides
        self.skew_ms = 1_700_000_000_000
        self.leaps = 0
        self.names, self.numbers = count(1), count(1)
        self.peers: list[Peer] = []
        self.epochs: set[str] = set()
        self.record: Record | None = None
        self.replica: tuple[dict[bytes, bytes], Model] | None = None
        self.broken = False
        self.server.restart(empty=True)
        for _ in range(2):
            peer = self.join()
            self.time_passes(300)
            self.say(peer, *(self.wait(peer, "live", FLOWS[0], -1, PATIENT_MS) for _ in range(3)))

    def new_model(self) -> Model:
        linger, lease, hold, _ = self.timing.words()
        return Model(linger, lease, hold)

    # -- one step -------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """s, by the workers' clocks."""
        return self.true_ms / 1000

    def say(self, peer: Peer, *said: Op, lost: bool = False) -> Reply:
        """One step of ``peer``: what it has to say, and ``said``. Its reply may be lost."""
        releases, peer.unsaid = peer.unsaid, []
        registers, waiters = peer.must_register, list(peer.waiters.values())
        if registers:  # what is past its deadline may be somebody else's by now
            releases = [one for one in releases if one[0].may_count(self.now)]
        ops = [release(peer.name, permit.id, outcome) for permit, outcome in releases]
        if registers:
            held = [*peer.held.values(), *(permit for permit, _ in releases)]
            words = peer.registration(held, self.now)
            number, known = peer.number, copy.copy(peer.known)
            first = Op(words, registers_as(peer.name, number, known, held))
            again = [Op([], queue_again(peer.name, one, self.now)) for one in waiters]
            ops = [first, *again, Op([], lambda m: m.acknowledge(peer.name, 0)), *ops]
            for one in waiters:
                self.promises.loses(one.flow)
                if one.arrival is None or one.tag is None:
                    self.promises.asked.pop((peer.name, one.number), None)
        ops += [op for op in said if not (registers and op.registers)]
        reply = self.step(peer.name, peer, ops, registers)
        if lost:
            peer.unheard(releases)
        else:
            self.hear(peer, reply, releases, registers)
        return reply

    def hear(
        self, peer: Peer, reply: Reply, releases: list[tuple[HeldPermit, str]], registers: bool
    ) -> None:
        if reply.status == "fenced":
            assert peer.state == "dead"
        elif reply.status == "register":
            peer.unheard(releases)
        else:
            for number, _ in reply.refused:
                self.promises.loses(peer.waiters[number].flow)
            peer.must_register = reply.status == "differs"
            peer.learn(reply, self.now, HOLD_S)
            for grants in (reply.grants, reply.repeated):
                self.begin(peer, peer.number, grants)

    def begin(self, peer: Peer, number: int, grants: list[Any]) -> None:
        self.broken = True
        for permit in peer.take(number, grants, self.now, HOLD_S):
            self.promises.begins(permit, self.true_ms)
        self.broken = False

    def supervisor(self, *said: Op, far: bool = False) -> Reply:
        return self.step("", None, list(said), False, far=far)

    def step(
        self, name: str, peer: Peer | None, ops: list[Op], registers: bool, *, far: bool = False
    ) -> Reply:
        """In both worlds, and compared."""
        head = peer.head(self.timing) if peer else [0, "", 0, 0, *self.timing.words()]
        words = [word for op in ops for word in op.words]
        names = [one.name for one in self.peers]
        self.broken = True
        reply, record = self.server.step(
            self.true_ms + self.skew_ms, name, head + words, names, far=far
        )
        if far:
            self.model.tick(self.true_ms + self.skew_ms)
            assert reply.status == "schema"
        else:
            drawn = Drawn(reply.epoch, int(record.meta.get("circuit_until", 0)))
            asked = self.predict(name, head, ops, registers, drawn, reply)
            self.compare_reply(name, reply, asked)
            self.compare_pushes(name, record)
            assert record.alarms == self.alarms()
            if not reply.refused:
                all_of_them = (
                    any(op.words[:1] == ["h"] for op in ops) and reply.status != "register"
                )
                self.compare_places(
                    reply, record, self.model.waiters(name) if all_of_them else asked
                )
            self.promises.check(record, reply, self.model.given)
        self.compare_record(record)
        self.broken = False
        self.record = record
        return reply

    def predict(
        self, name: str, head: list[Argument], ops: list[Op], registers: bool, drawn: Drawn,
        reply: Reply,
    ) -> list[Waiting]:  # fmt: skip
        """Let the model do the step. Returns those who asked, or registered, and wait."""
        model, trips, queued = self.model, self.model.provider.trips, self.waiting()
        model.begin(self.true_ms + self.skew_ms, self.server.run, drawn)
        if model.epoch not in self.epochs:
            self.epochs.add(model.epoch)
        elif model.epoch != reply.epoch:
            raise AssertionError("an epoch began that should not")
        status = self.may_step(name, head, registers)
        if status == "ok":
            if name and not registers:
                model.acknowledge(name, int(head[2]))
            results = [op.does(model) for op in ops]
            if "new" in results:
                model.came_back(name)
            if not registers:  # which has just said all that could differ
                status = next((r for r in results if r in ("differs", "above", "empty")), "ok")
            unknown = [str(op.words[1]) for op, r in zip(ops, results, strict=True) if r is False]
            assert reply.unknown == unknown
        assert reply.status == status
        self.note_asked(name)
        model.hand_out()
        for number, place in reply.refused:
            waiting = model.find(name, number)
            assert waiting is not None
            wait_us = place * reply.pace_us + max(0, reply.closed_ms) * 1000
            assert wait_us > IMPATIENT_MS * 1000
            model.leave(name, number)
        if model.provider.trips > trips:
            pause = drawn.pause_ends - model.clock
            assert 500 <= pause <= min(30_000, 500 * 2**model.provider.trips)
        for gone in queued - self.waiting() - {(g.session, g.waiter) for g in model.given}:
            self.promises.loses(self.promises.asked[gone].flow)
        if status in ("register", "fenced"):
            return []
        return [one for one in model.waiters(name) if registers or (name, one.number) not in queued]

    def waiting(self) -> set[tuple[str, int]]:
        queues = self.model.queues.values()
        return {(one.session, one.number) for queue in queues for one in queue.waiting}

    def may_step(self, name: str, head: list[Argument], registers: bool) -> str:
        session = self.model.sessions.get(name)
        if not name:
            return "ok"
        if not session and name in self.model.fenced:
            return "fenced"
        if registers:
            return "register" if session and int(head[0]) <= session.registration else "ok"
        known = session and (session.state, session.registration) == ("live", head[0])
        return "ok" if known and head[1] == self.model.epoch else "register"

    def note_asked(self, name: str) -> None:
        for peer in self.peers:
            for one in peer.waiters.values():
                if peer.name == name and (name, one.number) not in self.promises.asked:
                    self.promises.asks(name, one, self.model.epoch)

    # -- both worlds alike ----------------------------------------------------------------

    def compare_reply(self, name: str, reply: Reply, asked: list[Waiting]) -> None:
        model, provider = self.model, self.model.provider
        assert reply.used == len(model.permits)
        assert (reply.admissible, reply.limit) == (model.admissible, provider.limit)
        assert (reply.tier, reply.configured) == (provider.tier, provider.configured)
        virtual = [queue.virtual for queue in model.queues.values()]
        assert [reply.virtual_live, reply.virtual_background] == virtual
        closed_ms = max(0, provider.circuit_until - model.clock) if provider.trips else -1
        assert (reply.closed_ms, reply.blocked) == (closed_ms, provider.blocked)
        own = [(g.number, g.waiter, g.permit) for g in model.given if g.session == name]
        assert [tuple(grant) for grant in reply.grants] == own
        session = model.sessions.get(name)
        unheard = session and session.silent and model.clock - session.silent > 250
        again = {
            (its.number, its.waiter, permit)
            for permit, its in model.permits.items()
            if unheard and its.owner == name and its.number > session.acked
        }
        assert {tuple(grant) for grant in reply.repeated} == again
        ends = self.alarms().values()
        assert reply.due_ms == (max(1, min(ends) - model.clock) if ends else -1)
        if reply.roster:
            assert set(reply.roster) == {*model.sessions, *model.absent}

    def compare_places(self, reply: Reply, record: Record, expected: list[Waiting]) -> None:
        """A place is a rank; background's come after live's."""
        queue = [
            (one.session, one.number) for p in ("live", "background") for one in record.queues[p]
        ]
        told = {(one.waiter, one.position, one.tag, one.arrival) for one in reply.places}
        assert told == {
            (one.number, queue.index((one.session, one.number)) + 1, one.tag, one.arrival)
            for one in expected
        }

    def compare_pushes(self, caller: str, record: Record) -> None:
        """What others got came to their inboxes, and nothing else did."""
        for peer in self.peers:
            given = [g for g in self.model.given if g.session == peer.name != caller]
            if given:
                number, grants = record.pushed[peer.name]
                assert number == self.model.sessions[peer.name].registration
                assert [tuple(one) for one in grants] == [tuple(g[1:]) for g in given]
                peer.post.append((number, grants))

    def compare_record(self, record: Record) -> None:
        model = self.model
        assert record.clock == model.clock
        assert set(record.sessions) == set(model.sessions)
        for name, row in record.sessions.items():
            its = model.sessions[name]
            numbers = (row.registration, row.granted, row.acked, row.silent)
            assert row.state == its.state
            assert numbers == (its.registration, its.granted, its.acked, its.silent)
        assert {
            permit: (row.owner, row.priority, row.number, row.waiter)
            for permit, row in record.permits.items()
        } == {
            permit: (its.owner, its.priority, its.number, its.waiter)
            for permit, its in model.permits.items()
        }
        for priority, queue in model.queues.items():
            order = [(one.session, one.number, one.tag) for one in queue.in_order()]
            assert [tuple(one) for one in record.queues[priority]] == order
        assert record.absent == set(model.absent)
        assert record.fenced == model.fenced
        numbers = {
            name: int(record.meta.get(name, start))
            for name, start in self.numbers_of(Model(0, 0, 0)).items()
        }
        assert numbers == self.numbers_of(model)

    @staticmethod
    def numbers_of(model: Model) -> dict[str, int]:
        """What a step reads from the record besides; some of it shows only many steps later."""
        names = "seq", "arrivals", "began", "window", "registered", "since_background"
        provider = "cut_seq", "before_cut", "successes", "lag", "trips", "overloads", "circuit_seq"
        return {name: getattr(model, name) for name in names} | {
            name: getattr(model.provider, name) for name in (*provider, "probe", "blocked_seq")
        }

    def alarms(self) -> dict[str, int]:
        """All that time alone will do."""
        model, provider = self.model, self.model.provider
        kinds = {"live": "lease", "quarantined": "quarantine"}
        alarms = {f"{kinds[s.state]}:{name}": s.until for name, s in model.sessions.items()}
        alarms |= {f"absent:{name}": by for name, by in model.absent.items()}
        alarms |= {f"linger:{id}": model.permits[id].until for id in model.held(NOBODY)}
        if model.window > model.clock:
            alarms["window"] = model.window
        if provider.trips and provider.circuit_until > model.clock:
            alarms["window:circuit"] = provider.circuit_until
        return alarms

    # -- workers --------------------------------------------------------------------------

    def join(self) -> Peer:
        peer = Peer(f"w{next(self.names)}", Known(self.tier, self.tier))
        self.peers.append(peer)
        self.say(peer)
        return peer

    def those(self, *states: str) -> list[Peer]:
        return [peer for peer in self.peers if peer.state in states]

    def holders(self) -> list[Peer]:
        return [peer for peer in self.those("awake") if peer.held]

    def awake(self, n: int) -> Peer:
        return one_of(self.those("awake"), n)

    def die(self, peer: Peer) -> None:
        """The kernel closes its sockets; the provider notices within the linger."""
        peer.state = "dead"
        for permit in peer.held:
            self.promises.ends(permit, self.true_ms + self.timing.linger_s * 1000)

    def give_back(self, peer: Peer, permit: str, outcome: str) -> None:
        peer.give_back(permit, outcome)
        cut = self.timing.linger_s * 1000 if outcome == "aborted" else 0
        self.promises.ends(permit, self.true_ms + cut)

    def wait(self, peer: Peer, priority: str, flow: str, age_ms: int, patience_ms: int) -> Op:
        since = None if age_ms < 0 else self.now - age_ms / 1000
        waiter = Waiter(
            number=next(self.numbers), flow=flow, priority=priority, asked=self.now,
            deadline=self.now + patience_ms / 1000, since=since, place=None,
        )  # type: ignore[arg-type]  # fmt: skip
        peer.waiters[waiter.number] = waiter
        return Op(acquisition(waiter, self.now), acquires(peer.name, waiter, age_ms), True)

    def read_post(self, peer: Peer, number: int | None = None) -> None:
        """The oldest ``number`` of its pushes, or all."""
        post = peer.post[:number]
        del peer.post[:number]
        for number, grants in post:
            self.begin(peer, number, grants)

    def cut_what_is_overdue(self) -> None:
        """A worker cuts its requests before anybody else may count on their end."""
        for peer in self.those("awake", "paused"):
            for permit in [p.id for p in peer.held.values() if p.deadline <= self.now]:
                self.give_back(peer, permit, "aborted")

    def time_passes(self, ms: int) -> None:
        self.true_ms += ms
        self.cut_what_is_overdue()

    # -- rules: waiting and holding -------------------------------------------------------

    @precondition(lambda self: self.those("awake"))
    @rule(
        n=index, priority=st.sampled_from(PRIORITIES), flow=st.sampled_from(FLOWS),
        number=st.integers(1, 4), age_ms=st.sampled_from([-1, -1, -1, -1, 0, 700]),
        patience_ms=st.sampled_from([PATIENT_MS] * 4 + [IMPATIENT_MS]), lost=flaky,
    )  # fmt: skip
    def ask(
        self, n: int, priority: str, flow: str, number: int, age_ms: int, patience_ms: int,
        lost: bool,
    ) -> None:  # fmt: skip
        peer = self.awake(n)
        asks = [self.wait(peer, priority, flow, age_ms, patience_ms) for _ in range(number)]
        self.say(peer, *asks, lost=lost)

    @precondition(lambda self: self.holders())
    @rule(n=index, k=index, number=st.integers(1, 3), outcome=st.sampled_from(OUTCOMES), lost=flaky)
    def finish(self, n: int, k: int, number: int, outcome: str, lost: bool) -> None:
        peer = one_of(self.holders(), n)
        for _ in range(min(number, len(peer.held))):
            self.give_back(peer, one_of(sorted(peer.held), k), outcome)
        self.say(peer, lost=lost)

    @precondition(lambda self: self.holders())
    @rule(
        rounds=st.sampled_from([5, 12, 45]), ms=st.sampled_from([1, 30, 100]),
        outcome=st.sampled_from(["ok", "ok", "ok", "1305", "1302", "1113"]),
        slow=index, lossy=st.booleans(),
    )  # fmt: skip
    def a_busy_time(self, rounds: int, outcome: str, ms: int, slow: int, lossy: bool) -> None:
        """Who ends a request has another one. One may be slow to read what it was given."""
        late = self.awake(slow) if len(self.those("awake")) > 1 and slow % 2 else None
        for peer in self.those("awake"):
            flows = FLOWS if peer is late else FLOWS[:2]
            self.say(peer, *(self.wait(peer, "live", flow, -1, PATIENT_MS) for flow in flows))
        for turn in range(rounds):
            if late and turn % 10 == 9:
                self.read_post(late, 1)
                self.say(late, self.heartbeat(late))
            awake = [peer for peer in self.those("awake") if peer is not late]
            for peer in awake if turn % 4 == 0 else []:
                self.read_post(peer)
                self.say(peer)
            busy = [peer for peer in awake if peer.held]
            if busy:
                peer = one_of(busy, turn)
                self.give_back(peer, min(peer.held, key=number_of), outcome)
                priority = "background" if turn % 6 == 5 else "live"
                asks = self.wait(peer, priority, one_of(FLOWS, turn), -1, PATIENT_MS)
                self.say(peer, asks, lost=lossy and turn % 5 == 4)
            self.time_passes(ms)

    @precondition(lambda self: self.holders())
    @rule(
        answers=st.lists(st.sampled_from(["1305", "1312", "ok", "aborted", "unused"]), max_size=5)
    )
    def the_platform_is_full(self, answers: list[str]) -> None:
        """Until the circuit opens; then each request that tries it gets one of ``answers``."""
        for answer in ["1305"] * 6 + answers:
            for peer in self.those("awake"):
                self.read_post(peer)
                self.say(peer)
            newest = [(max(map(number_of, peer.held)), peer) for peer in self.holders()]
            for _, peer in sorted(newest, key=lambda one: one[0])[-1:]:
                self.give_back(peer, max(peer.held, key=number_of), answer)
                self.say(peer, self.wait(peer, "live", FLOWS[0], -1, PATIENT_MS))
            closed_ms = self.supervisor().closed_ms
            if closed_ms > 0:
                self.seconds_pass(min(3, closed_ms // 1000 + 1))

    @precondition(lambda self: self.those("awake"))
    @rule(n=index, number=st.integers(2, 8))
    def background_wants_everything(self, n: int, number: int) -> None:
        """And gets all but the reserve; then a customer comes, and another."""
        for peer in self.those("awake"):
            self.leave_all(peer)
        peer = self.awake(n)
        for priority in [*["background"] * number, "live", "live"]:
            self.say(peer, self.wait(peer, priority, FLOWS[2], -1, PATIENT_MS))

    def leave_all(self, peer: Peer) -> None:
        self.read_post(peer)
        for permit in list(peer.held):
            self.give_back(peer, permit, "ok")
        gone, peer.waiters = [*peer.waiters], {}
        self.say(peer, *(Op(["c", one], leaves(peer.name, one), True) for one in gone))

    @precondition(lambda self: any(peer.waiters for peer in self.those("awake")))
    @rule(n=index, k=index, number=st.integers(1, 3), lost=flaky)
    def give_up(self, n: int, k: int, number: int, lost: bool) -> None:
        peer = one_of([peer for peer in self.those("awake") if peer.waiters], n)
        gone = []
        for _ in range(min(number, len(peer.waiters))):
            waiter = peer.waiters.pop(one_of(sorted(peer.waiters), k))
            gone.append(Op(["c", waiter.number], leaves(peer.name, waiter.number), True))
        self.say(peer, *gone, lost=lost)

    @precondition(lambda self: self.those("awake"))
    @rule(n=index, k=index)
    def give_back_what_one_does_not_have(self, n: int, k: int) -> None:
        """A second time, another's, another server's, nonsense: nothing is done, and it is told."""
        peer = self.awake(n)
        others = [permit for other in self.peers if other is not peer for permit in other.held]
        wrong = [*others[:3], *peer.given_back[-2:], "1-a:1", "nonsense"]
        self.say(peer)
        self.say(peer, release(peer.name, one_of(wrong, k), "ok"))

    @precondition(lambda self: self.those("awake"))
    @rule(n=index, old=st.sampled_from(["number", "epoch", "registration"]))
    def a_word_from_before_comes_late(self, n: int, old: str) -> None:
        """By an earlier registration, to an earlier epoch, or an earlier registration itself."""
        peer = self.awake(n)
        self.say(peer)
        late = copy.deepcopy(peer)
        if old == "epoch":
            late.known.epoch = "1-a"
        else:
            late.number -= 1
        if old == "registration" and not late.must_register:
            words = Op(late.registration([], self.now), lambda m: None)
            assert self.step(peer.name, late, [words], True).status == "register"
            return
        asks = [self.wait(late, "live", FLOWS[0], -1, PATIENT_MS)]
        backs = [release(peer.name, permit, "ok") for permit in peer.held]
        if not late.must_register:
            assert self.step(peer.name, late, [*asks, *backs], False).status == "register"

    @precondition(lambda self: any(peer.waiters for peer in self.those("awake")))
    @rule(n=index, k=index)
    def ask_again_for_the_same_waiter(self, n: int, k: int) -> None:
        """A step that is done twice asks once."""
        peer = one_of([peer for peer in self.those("awake") if peer.waiters], n)
        waiter = peer.waiters[one_of(sorted(peer.waiters), k)]
        self.say(peer)
        if waiter.number in peer.waiters and not peer.must_register:
            words = acquisition(waiter, self.now)
            if self.model.find(peer.name, waiter.number):
                self.say(peer, Op(words, acquires(peer.name, waiter, int(words[4])), True))

    # -- rules: what a worker says besides ------------------------------------------------

    @precondition(lambda self: self.those("awake"))
    @rule(
        n=index, wrong=st.sampled_from([(0, 0, 0)] * 3 + [(1, 0, 0), (0, 1, 0), (0, 0, 1)]),
        reads=st.booleans(), lost=flaky,
    )  # fmt: skip
    def beat(self, n: int, wrong: tuple[int, int, int], reads: bool, lost: bool) -> None:
        peer = self.awake(n)
        if reads:
            self.read_post(peer)
        self.say(peer, self.heartbeat(peer, wrong), lost=lost)

    def heartbeat(self, peer: Peer, wrong: tuple[int, int, int] = (0, 0, 0)) -> Op:
        words = heartbeat(peer.held.values(), len(peer.waiters))
        told = tuple(int(word) + off for word, off in zip(words[1:], wrong, strict=True))
        return Op(["h", *told], lambda m: "differs" if differs(m, peer.name, told) else None)

    @precondition(lambda self: self.those("awake"))
    @rule(n=index, post=st.sampled_from(["read", "read", "unread", "lost"]), lost=flaky)
    def confirm(self, n: int, post: str, lost: bool) -> None:
        """A step with nothing but receipts, after pushes that were read, were not, or got lost."""
        peer = self.awake(n)
        if post == "read":
            self.read_post(peer)
        elif post == "lost":
            peer.post.clear()
        self.say(peer, lost=lost)

    # -- rules: silence, death, time ------------------------------------------------------

    @precondition(lambda self: self.those("awake", "paused"))
    @rule(n=index, lost=flaky)
    def fall_silent_or_come_back(self, n: int, lost: bool) -> None:
        peer = one_of(self.those("awake", "paused"), n)
        peer.state = "paused" if peer.state == "awake" else "awake"
        if peer.state == "awake":
            self.say(peer, lost=lost)

    @precondition(lambda self: len(self.those("awake")) > 1)
    @rule(n=index, seconds=st.integers(3, 6))
    def be_silent_for_longer_than_a_lease(self, n: int, seconds: int) -> None:
        self.awake(n).state = "paused"
        self.seconds_pass(seconds)

    @rule(n=index, dies=st.booleans(), noticed=st.booleans())
    def workers_die_and_come(self, n: int, dies: bool, noticed: bool) -> None:
        """A notice may come late, or twice."""
        alive = self.those("awake", "paused")
        if dies and alive:
            self.die(one_of(alive, n))
        if noticed and self.those("dead"):
            self.supervisor(fence(one_of(self.those("dead"), n).name))
        if len(self.those("awake", "paused")) < PEERS:
            self.join()

    @precondition(lambda self: any(peer.name in self.model.fenced for peer in self.peers))
    @rule(n=index, registers=st.booleans())
    def a_fenced_one_s_word_comes_late(self, n: int, registers: bool) -> None:
        peer = one_of([peer for peer in self.peers if peer.name in self.model.fenced], n)
        peer.must_register = registers
        assert self.say(peer).status == "fenced"

    @rule(ms=st.sampled_from([1, 50, 251, 300, 999]), seconds=st.sampled_from([0, 0, 1, 3, 9]))
    def time_goes_by(self, ms: int, seconds: int) -> None:
        self.seconds_pass(seconds)
        self.time_passes(ms)

    def seconds_pass(self, seconds: int) -> None:
        """Who is awake beats each second."""
        for _ in range(seconds):
            self.time_passes(1000)
            self.supervisor()
            for peer in self.those("awake"):
                self.read_post(peer)
                self.say(peer, self.heartbeat(peer))

    # -- rules: an operator, versions, the clock, the server ------------------------------

    @rule(limit=st.integers(1, TIER_MAX + 1))
    def limit_it(self, limit: int) -> None:
        """Lower makes debt; above the account's tier is refused."""
        self.supervisor(Op(["l", limit], lambda m: set_limit(m, limit)))

    @rule(
        what=st.sampled_from(["clock", "clock", "version", "replica", "restart", "restart"]),
        n=index,
    )
    def something_rare(self, what: str, n: int) -> None:
        match what:
            case "clock":
                self.the_server_s_clock_leaps(1 if n % 2 else -1)
            case "version":
                self.a_worker_of_a_far_version_comes()
            case "replica" if self.replica is None:
                self.replica = self.server.replica(), copy.deepcopy(self.model)
            case "replica":
                self.the_replica_is_promoted()
            case _:
                self.the_server_restarts(empty=n % 2 == 0)
        if n % 3 == 0:
            self.seconds_pass(1)

    def the_server_s_clock_leaps(self, hours: int) -> None:
        """Forward once in a walk: to the lease clock that is up to 1 s, of 2 s of margin."""
        if hours < 0 or self.leaps == 0:
            self.leaps += hours > 0
            self.skew_ms += hours * 3_600_000
        if hours > 0:
            self.promises.clock_leaps()

    def a_worker_of_a_far_version_comes(self) -> None:
        """Refused, and nothing is changed, while those live that it would not understand."""
        sooner = copy.deepcopy(self.model)
        sooner.tick(self.true_ms + self.skew_ms)
        live = [session for session in sooner.sessions.values() if session.state == "live"]
        if any(session.until > sooner.clock for session in live):
            self.supervisor(far=True)

    def the_server_restarts(self, *, empty: bool) -> None:
        """An empty one hears of the living from one who knew all of them, or from supervisors."""
        self.server.restart(empty=empty)
        if empty:
            self.model = self.new_model()
            living = {peer.name for peer in self.those("awake", "paused")}
            knowing = [peer for peer in self.those("awake") if living <= set(peer.known.roster)]
            if knowing:
                self.say(knowing[0])
                self.say(knowing[0])
            else:
                self.tell_of_the_living()

    def the_replica_is_promoted(self) -> None:
        assert self.replica is not None
        keys, model = self.replica
        self.server.promote(keys)
        self.model, self.replica = model, None
        self.tell_of_the_living()

    def tell_of_the_living(self) -> None:
        """As supervisors do in an epoch that is new to them; who died is fenced once more."""
        living = [Op(["e", p.name], living_of(p.name)) for p in self.those("awake", "paused")]
        self.supervisor(*living, *(fence(peer.name) for peer in self.those("dead")))

    # -- the end --------------------------------------------------------------------------

    def teardown(self) -> None:
        """Everybody leaves in good order: nothing may stay behind."""
        if not hasattr(self, "peers") or self.broken:
            return
        for peer in self.those("awake", "paused"):
            self.leave_all(peer)
        self.supervisor(*(fence(peer.name) for peer in self.peers))
        for _ in range(DRAINED_S):
            if self.supervisor().due_ms < 0:
                break
            self.time_passes(1000)
        assert self.record is not None
        assert (self.record.permits, self.record.sessions, self.record.absent) == ({}, {}, set())
        assert self.server.left() <= KEPT


def one_of(several: list[Any], n: int) -> Any:
    return several[n % len(several)]


def leaves(name: str, number: int) -> Callable[[Model], None]:
    return lambda m: m.leave(name, number)


def release(name: str, permit: str, outcome: str) -> Op:
    return Op(["r", permit, outcome], lambda m: m.release(name, permit, outcome))


def fence(name: str) -> Op:
    return Op(["f", name], lambda m: m.fence(name))


def living_of(name: str) -> Callable[[Model], None]:
    return lambda m: m.expect_living(name)


def acquires(name: str, waiter: Waiter, age_ms: int) -> Callable[[Model], None]:
    return lambda m: m.acquire(name, waiter.number, waiter.priority, waiter.flow, age_ms)


def registers_as(
    name: str, number: int, known: Known, held: list[HeldPermit]
) -> Callable[[Model], str]:
    return lambda m: "new" if m.register(name, number, known, held) else "known"


def queue_again(name: str, waiter: Waiter, now: float) -> Callable[[Model], None]:
    """As a registration says it: with its place where the worker was told of one."""
    number, priority, flow = waiter.number, waiter.priority, waiter.flow
    tag, arrival = waiter.tag, waiter.arrival
    age_ms = -1 if waiter.since is None else round((now - waiter.since) * 1000)
    if tag is None or arrival is None:
        return lambda m: m.acquire(name, number, priority, flow, age_ms)
    return lambda m: m.queue_again(Waiting(name, number, priority, flow, tag, arrival))


def differs(model: Model, name: str, told: tuple[int, ...]) -> bool:
    """Where all grants have been seen, both must agree on permits, their sum, and waiters."""
    session, held = model.sessions[name], model.held(name)
    real = len(held), sum(map(number_of, held)), len(model.waiters(name))
    return session.granted == session.acked and told != real


def set_limit(model: Model, limit: int) -> str:
    provider = model.provider
    if not provider.configured:
        return "empty"
    if limit > provider.configured:
        return "above"
    provider.set_tier(limit)
    return "ok"


@pytest.fixture
def walk(valkey: Valkey) -> Iterator[type[PermitWalk]]:
    with valkey.client() as client:
        yield type("Walk", (PermitWalk,), {"client": client})
        client.flushall()


@pytest.mark.timeout(900)  # where it fails, it looks for the shortest way there
def test_whatever_happens_the_functions_do_what_the_model_does_and_keep_their_promises(
    walk: type[PermitWalk],
):
    walks = settings(
        max_examples=int(WALKS or 100),
        stateful_step_count=STEPS,
        derandomize=WALKS is None,
        deadline=None,
        report_multiple_bugs=False,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(walk, settings=walks)


def test_the_circuit_may_open_at_any_point_of_the_twenty_turns(walk: type[PermitWalk]):
    """Where it would be background's turn, it does not get it while the platform is full."""
    for rounds in range(6, 26):
        one = begun(walk)
        one.a_busy_time(rounds=rounds, outcome="ok", ms=1, slow=0, lossy=False)
        one.the_platform_is_full(["1305"] * 6)
        one.teardown()


@pytest.mark.parametrize("answer", ["ok", "aborted", "unused", "1302", "1305", "1312", "1113"])
def test_the_request_that_tries_the_platform_may_end_in_any_way(
    walk: type[PermitWalk], answer: str
):
    one = begun(walk)
    one.the_platform_is_full([answer, "1305", answer, answer])
    one.a_busy_time(rounds=5, outcome="ok", ms=1000, slow=0, lossy=False)
    one.teardown()


def test_a_request_that_is_given_back_as_cut_once_more_lingers_and_is_nobody_s(
    walk: type[PermitWalk],
):
    one = begun(walk)
    one.finish(n=0, k=0, number=3, outcome="aborted", lost=True)
    one.time_goes_by(ms=50, seconds=0)
    one.confirm(n=0, post="read", lost=False)
    assert sum(row.owner == NOBODY for row in one.record.permits.values()) == 3
    one.teardown()


@pytest.mark.parametrize("knows", [False, True], ids=["told by supervisors", "by who knew all"])
def test_an_empty_server_waits_for_those_whom_it_does_not_know(walk: type[PermitWalk], knows: bool):
    one = begun(walk)
    one.confirm(n=0, post="read", lost=False)
    if not knows:
        for peer in one.peers:
            peer.known.roster = []
    one.fall_silent_or_come_back(n=1, lost=False)
    one.the_server_restarts(empty=True)
    assert "w2" in one.record.absent
    one.a_busy_time(rounds=12, outcome="ok", ms=100, slow=0, lossy=False)
    one.teardown()


@pytest.mark.parametrize("tier", range(1, TIER_MAX + 1))
def test_the_reserve_stays_free_of_background(walk: type[PermitWalk], tier: int):
    one = begun(walk, tier)
    one.background_wants_everything(n=1, number=8)
    one.a_busy_time(rounds=12, outcome="ok", ms=1, slow=0, lossy=False)
    one.teardown()


def begun(walk: type[PermitWalk], tier: int = TIER_MAX) -> PermitWalk:
    one = walk()
    one.start(tier=tier, linger_ms=300)
    return one
