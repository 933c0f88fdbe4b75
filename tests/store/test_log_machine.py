"""Whatever workers do in whatever order, lost replies and stale owners included, the log does what
the model says: on the server, and in the twin that the tests of flows stand on.

A call's reply may be lost: then the call was done, and whoever made it does not know; an owner goes
on only after it has repeated that call and heard the reply. Any call may come a second time, late
and exactly. Owners whose turn was taken away go on writing. After each step the kept log's bytes,
what Redis holds and the model are compared; at the end everything is adopted and finished, and then
every message must have been answered once.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import count
from typing import Any, NamedTuple

import pytest
import uvloop
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from service.core import wire
from service.core.errors import ParleyError, StepMissing
from service.core.model import Accepted, Adopted, Attached, OpenTurn, Position, Written
from service.store import keys
from tests.support.log_model import LEASE_MS, LogModel, Owned
from tests.support.log_rig import (
    AnyLog,
    MemoryWorld,
    ServerWorld,
    begin,
    changed,
    decoded,
    read,
    send,
)
from tests.support.valkey import Valkey

NOTICE = wire.notice("answer_failed", "Sorry.", "en")
NOTICED = {"author": "notice", "code": "answer_failed", "text": "Sorry.", "language": "en"}
REPEATS = 6  # calls back that a late repeat may come from
names = (f"machine-{number}" for number in count())
Call = Callable[[AnyLog], Awaitable[Any]]
Predict = Callable[[], Any]

sessions = st.sampled_from("abc")
numbers = st.integers(-1, 9)
known = st.sampled_from([-1, 0, 0, 0, 2, 5, 99])
which = st.sampled_from([-1] * 6 + [-2, -2, -3, -4])  # mostly the newest owner
lost = st.sampled_from([False] * 4 + [True])
PIECES = ("One", " two", " 🙂", "é/", "\n", '"\\', "\u2028", "")


class Said(NamedTuple):
    """A call as it was made, what it must do, and what its caller does with the reply."""

    session: str
    call: Call
    predict: Predict
    known: int
    heard: Callable[[Any], None]


class Holder:
    """A session that was told that a turn is its own, and what it believes of it."""

    def __init__(self, session: str, turn: OpenTurn, text: str) -> None:
        self.session = session
        self.turn = turn
        self.text = text
        self.unheard: Said | None = None  # to be repeated before anything else

    def goes_on(self, text: str, **more: int) -> None:
        self.turn, self.text = changed(self.turn, step=self.turn.step + 1, **more), text


class LogMachine(RuleBasedStateMachine):
    """One conversation, three sessions. ``server`` and ``runner`` are the test's."""

    server: ServerWorld
    runner: "asyncio.Runner"

    @initialize()
    def begin(self) -> None:
        self.c = next(names)
        self.twin = MemoryWorld()
        self.twin.memory.now_ms = self.server.now_ms
        self.model = LogModel(self.server.now_ms)
        self.holders: list[Holder] = []
        self.calls: list[Said] = []
        self.bytes: dict[int, bytes] = {}  # of every offset, as they were first seen
        self.owners: dict[int, str] = {}  # of every fence
        self.acks: dict[str, tuple[int, int]] = {}
        for world in (self.server, self.twin):
            self.run(begin(world.log("a"), self.c))

    def run(self, work: Awaitable[Any]) -> Any:
        async def done() -> Any:
            return await work

        return self.runner.run(done())

    def do(self, said: Said, *, lost: bool = False) -> Any:
        """Make a call in both worlds; unless its reply is ``lost``, its caller hears it. Returns
        the server's reply, None where it was refused.

        What ``predict`` returns (or raises) must be what both of them do.
        """
        worlds = {"server": self.server, "twin": self.twin}
        replies = {
            name: self.run(attempt(said.call, world.log(said.session)))
            for name, world in worlds.items()
        }
        try:
            predicted = said.predict()
        except ParleyError as error:
            predicted = error
        for name, reply in replies.items():
            self.compare(name, reply, predicted, said.known)
        if isinstance(predicted, ParleyError):
            return None
        if not lost:
            said.heard(replies["server"])
        return replies["server"]

    def ask(self, session: str, call: Call, predict: Predict, *, known: int = 0) -> None:
        """Make a call whose reply changes nothing for its caller."""
        self.do(Said(session, call, predict, known, lambda reply: None))

    def compare(self, world: str, reply: Any, predicted: Any, known: int) -> None:
        if isinstance(reply, ParleyError) or isinstance(predicted, ParleyError):
            assert type(reply) is type(predicted), (world, reply, predicted)
            if isinstance(predicted, StepMissing):
                assert reply.has == predicted.has, world
            return
        match reply:
            case Accepted(m=m, offset=offset, duplicate=duplicate, written=written):
                assert (m, offset, duplicate, written.turn) == predicted, world
            case Adopted(turn=turn, text=text):
                opened = self.model.turn
                assert opened is not None
                assert (turn, text, reply.top) == (predicted, opened.text, self.model.top), world
            case Written(turn=turn, cancelled=cancelled):
                assert (turn if turn is not None else cancelled) == (predicted or False), world
                written = reply
            case _:
                assert reply == predicted, (world, reply, predicted)
        if isinstance(reply, Accepted | Written):
            assert written.top == self.model.top, world
            assert decoded(written.frames) == self.model.after(known), world

    def learn(self, session: str, turn: OpenTurn | None, text: str = "") -> None:
        """``session`` was told of a turn that it is to run; one that it runs is left alone."""
        if turn is not None and not any(
            (h.session, h.turn.m, h.turn.fence) == (session, turn.m, turn.fence)
            for h in self.holders
        ):
            self.holders.append(Holder(session, turn, text))

    def holder(self, which: int) -> Holder:
        return self.holders[max(which, -len(self.holders))]

    # -- customers ----------------------------------------------------------------------------

    @rule(session=sessions, again=st.integers(-6, 3), known=known, lost=lost)
    def accept(self, session: str, again: int, known: int, lost: bool) -> None:
        """A new message; or one of the newest three ``again``, from any worker."""
        number = len(self.acks) + 1 - max(again, 0)
        id = f"message-{max(number, 1)}"
        said = Said(
            session, lambda log: send(log, self.c, id, known=known),
            lambda: self.model.accept(session, id, id), known,
            lambda reply: self.learn(session, reply.written.turn),
        )  # fmt: skip
        self.calls.append(said)
        reply = self.do(said, lost=lost)
        place = self.acks.setdefault(id, (reply.m, reply.offset))
        assert place == (reply.m, reply.offset), "one id, one place, for ever"

    @rule(
        session=sessions, which=st.sampled_from(["open", "newest", "newest", "any"]), any=numbers,
        kind=st.sampled_from(["stop", "rate", "notice", "resolve", "resolve", "retry"]),
        value=st.sampled_from([1, -1, 0]), known=known,
    )  # fmt: skip
    def command(
        self, session: str, which: str, any: int, kind: str, value: int, known: int
    ) -> None:
        """Another command of a customer, mostly for an answer that it can be meant for."""
        model = self.model
        opened = model.turn.m if model.turn else model.last[0]
        m = {"open": opened, "newest": model.last[0], "any": any}[which]
        calls: dict[str, tuple[Call, Predict]] = {
            "stop": (lambda log: log.stop(self.c, m), lambda: model.stop(m)),
            "rate": (
                lambda log: log.rate(self.c, known, m=m, value=value),
                lambda: model.rate(m, value),
            ),
            "retry": (  # while an answer runs, or of what is none: nobody is told of a turn
                lambda log: log.retry(self.c, known, m=m), lambda: model.retry(session, m),
            ),
            "notice": (
                lambda log: log.notice(self.c, known, NOTICE), lambda: model.notice(dict(NOTICED)),
            ),
            "resolve": (lambda log: log.resolve(self.c, known), model.resolve),
        }  # fmt: skip

        self.ask(session, *calls[kind], known=known)

    @precondition(lambda self: self.model.turn is None and self.model.last[0])
    @rule(session=sessions, any=st.sampled_from([None, None, None, 1, 9]), known=known, lost=lost)
    def retry(self, session: str, any: int | None, known: int, lost: bool) -> None:
        """A customer wants the newest answer anew; or just any."""
        m = self.model.last[0] if any is None else any
        said = Said(
            session, lambda log: log.retry(self.c, known, m=m),
            lambda: self.model.retry(session, m), known,
            lambda reply: self.learn(session, reply.turn),
        )  # fmt: skip
        self.do(said, lost=lost)

    @rule(
        session=sessions, epoch=st.sampled_from(["e1", "e1", "e1", "e0"]),
        back=st.integers(-2, 12), kept=st.sampled_from([None, None, None, 0, 3, 6]),
    )  # fmt: skip
    def attach(self, session: str, epoch: str, back: int, kept: int | None) -> None:
        """A client that is ``back`` frames behind, or ahead, or has nothing (beyond the first);
        before it comes, time may take all but the newest ``kept`` entries.
        """
        if kept is not None:
            self.trim(min(kept, len(self.model.after(0))))
        offset = max(self.model.top - back, -1)
        position = Position(epoch, offset) if offset >= 0 else None
        for world in (self.server, self.twin):
            found = self.run(world.log(session).attach(self.c, position))
            self.check_attached(found, self.model.mode(epoch, offset), offset)

    def trim(self, kept: int) -> None:
        for world in (self.server, self.twin):
            self.run(world.shorten(self.c, kept))
        self.model.kept_from = self.model.top - kept + 1

    def check_attached(self, found: Attached, mode: str, offset: int) -> None:
        model = self.model
        assert (found.mode, found.epoch, found.top) == (mode, "e1", model.top)
        assert (found.turn, found.newest, found.status) == (
            model.open_turn(), model.newest, model.status,
        )  # fmt: skip
        if mode == "replay":
            assert decoded(found.frames) == model.after(offset)
            return
        assert found.text == (model.turn.text if model.turn else "")
        shown = {m["m"]: m["text"] for m in decoded(found.messages)}
        if model.turn is not None:
            shown[model.turn.m] = found.text
        assert shown == read(_encoded(model.frames)), "a snapshot is what the frames show"

    # -- owners -------------------------------------------------------------------------------

    @precondition(lambda self: self.holders)
    @rule(
        which=which, known=known, lost=lost,
        acts=st.lists(st.sampled_from([*PIECES, *PIECES, 0, 1, 3, 6]), min_size=1, max_size=5),
    )  # fmt: skip
    def go_on(self, which: int, acts: list[str | int], known: int, lost: bool) -> None:
        """Deltas, and cuts; the reply to the last of them may be lost."""
        holder = self.holder(which)
        for number, act in enumerate(acts, 1):
            if holder not in self.holders:
                return  # what it had to repeat first was the end
            is_lost = lost and number == len(acts)
            if isinstance(act, str):
                self.append(holder, act, known, is_lost)
            else:
                self.rewind(holder, act, known, is_lost)

    def append(self, holder: Holder, text: str, known: int, lost: bool) -> None:
        turn, whole = holder.turn, holder.text + text
        at, length, crc32 = wire.units(holder.text), wire.units(whole), wire.checksum(whole)
        frame = wire.delta(turn, at, text)
        value = {"type": "answer.delta", "m": turn.m, "r": turn.revision, "at": at, "text": text}
        self.write(
            holder, known, lost,
            lambda log: log.append(
                self.c, known, turn, frames=[frame], text=text, length=length, crc32=crc32
            ),
            lambda by: self.model.append(by, dict(value), text, length=length, crc32=crc32),
            lambda reply: holder.goes_on(whole),
        )  # fmt: skip

    def rewind(self, holder: Holder, at: int, known: int, lost: bool) -> None:
        turn, text = holder.turn, holder.text[:at]
        length, crc32 = wire.units(text), wire.checksum(text)
        self.write(
            holder, known, lost,
            lambda log: log.rewind(
                self.c, known, turn, text=text, length=length, crc32=crc32
            ),
            lambda by: self.model.rewind(by, text, length=length, crc32=crc32),
            lambda reply: holder.goes_on(text, revision=turn.revision + 1),
        )  # fmt: skip

    @precondition(lambda self: self.holders)
    @rule(
        which=which, known=known, lost=lost, noticed=st.booleans(),
        reason=st.sampled_from(["stop", "stop", "failed", "stopped", "length", "withdrawn"]),
    )  # fmt: skip
    def finish(self, which: int, reason: str, noticed: bool, known: int, lost: bool) -> None:
        holder = self.holder(which)
        turn, notice = holder.turn, NOTICE if noticed else b""

        def heard(reply: Written) -> None:
            self.holders.remove(holder)
            self.learn(holder.session, reply.turn)

        self.write(
            holder, known, lost,
            lambda log: log.finish(self.c, known, turn, reason=reason, notice=notice),
            lambda by: self.model.finish(by, reason, dict(NOTICED) if noticed else None),
            heard,
        )  # fmt: skip

    def write(
        self, holder: Holder, known: int, lost: bool, call: Call,
        predict: Callable[[Owned], Any], heard: Callable[[Any], None],
    ) -> None:  # fmt: skip
        """An owner's numbered write; or, where it has not heard of the one before, that again."""
        by = Owned(holder.session, holder.turn)

        def predicted() -> Any:
            following = predict(by)
            turn = self.model.turn
            marked = turn is not None and turn.cancelled and turn.m == by.turn.m
            return following if following is not None else marked

        said = holder.unheard or Said(holder.session, call, predicted, known, heard)
        self.calls.append(said)
        reply = self.do(said, lost=lost)
        holder.unheard = said if reply is not None and lost else None

    @precondition(lambda self: self.calls)
    @rule(back=st.integers(1, REPEATS))
    def repeat(self, back: int) -> None:
        """A call comes a second time, and late; nobody hears what it is told."""
        self.do(self.calls[-min(back, len(self.calls))], lost=True)

    @precondition(lambda self: self.holders)
    @rule(which=which, asks=st.booleans())
    def renew(self, which: int, asks: bool) -> None:
        holder = self.holder(which)
        self.ask(
            holder.session, lambda log: log.renew(self.c, holder.turn, asks=asks),
            lambda: self.model.renew(Owned(holder.session, holder.turn), asks=asks),
        )  # fmt: skip

    @precondition(lambda self: self.model.turn is not None)
    @rule(session=sessions, ends=st.booleans())
    def a_stranger_writes(self, session: str, ends: bool) -> None:
        """A session that owns nothing shows the fence and the step that are due."""
        turn = self.model.open_turn()
        assert turn is not None
        if session == self.model.owner:
            return
        by = Owned(session, turn)
        self.ask(
            session,
            lambda log: log.finish(self.c, 0, turn, reason="stop") if ends
            else log.rewind(self.c, 0, turn, text="", length=0, crc32=0),
            lambda: self.model.finish(by, "stop", None) if ends
            else self.model.rewind(by, "", length=0, crc32=0),
        )  # fmt: skip

    def hand_over(self, holder: Holder) -> None:
        self.ask(
            holder.session, lambda log: log.handover(self.c, holder.turn),
            lambda: self.model.handover(Owned(holder.session, holder.turn)),
        )  # fmt: skip

    # -- turns whose owner is gone ------------------------------------------------------------

    def advance(self, ms: int) -> None:
        for world in (self.server, self.twin):
            self.run(world.advance(ms))
        self.model.now_ms += ms

    @precondition(lambda self: self.model.turn is not None)
    @rule(
        session=sessions, which=which, lost=lost, ago_ms=st.sampled_from([0] * 6 + [1, 2999]),
        why=st.sampled_from(["late", "late", "given away", "dead", "too early", "revived"]),
    )  # fmt: skip
    def take_over(self, session: str, which: int, why: str, ago_ms: int, lost: bool) -> None:
        """Another session adopts the turn; in good time, or not."""
        dead = self.model.owner if why == "dead" else ""
        if why in ("late", "revived"):
            self.advance(LEASE_MS + 1)
        if why in ("given away", "revived") and self.holders:
            holder = self.holder(which)
            self.hand_over(holder) if why == "given away" else self.renew(which, False)
        self.adopt(session, self.model.now_ms - ago_ms, dead, lost)

    def adopt(self, session: str, looked_ms: int, dead: str, lost: bool) -> None:
        said = Said(
            session, lambda log: log.adopt(self.c, looked_ms=looked_ms, dead=dead),
            lambda: self.model.adopt(session, looked_ms, dead), 0,
            lambda reply: reply and self.learn(session, reply.turn, reply.text),
        )  # fmt: skip
        self.do(said, lost=lost)

    # -- what always holds --------------------------------------------------------------------

    @invariant()
    def the_log_is_the_models_and_no_byte_of_it_ever_changes(self) -> None:
        entries = self.run(self.server.entries(self.c))
        assert entries == self.run(self.twin.entries(self.c))
        assert decoded(entries) == self.model.after(0)
        for frame, value in zip(entries, self.model.after(0), strict=True):
            assert self.bytes.setdefault(value["o"], frame) == frame
        read(_encoded(self.model.frames))  # every delta fits; length and crc32 are right at the end

    @invariant()
    def what_redis_holds_agrees_with_itself_and_with_the_model(self) -> None:
        model, turn = self.model, self.model.turn
        meta, text, lease = self.run(held(self.server, self.c))
        assert meta["top"] == str(model.top)
        assert meta["turn"] == (str(turn.m) if turn else "")
        assert meta["queued"] == ",".join(map(str, model.queued))
        assert (meta["owner"], meta["fence"], meta["step"]) == (
            model.owner, str(model.fence), str(model.step),
        )  # fmt: skip
        assert self.owners.setdefault(model.fence, model.owner) == model.owner, "one owner a fence"
        if turn is None:
            assert text is None and lease is None and model.queued == []
            return
        assert (text or "", lease) == (turn.text, model.lease)
        assert (meta["length"], meta["crc"]) == (
            str(wire.units(turn.text)), str(wire.checksum(turn.text)),
        )  # fmt: skip
        listed = self.run(self.server.log("a").expired(keys.partition(self.c), most=1000))[1]
        assert ((self.c, model.lease) in listed) == model.expired()

    def teardown(self) -> None:
        """Somebody adopts what is open and finishes it, until nothing is left."""
        if not hasattr(self, "model"):
            return
        while self.model.turn is not None:
            self.advance(LEASE_MS + 1)
            self.adopt("z", self.model.now_ms, "", False)
            self.finish(-1, "stop", False, 0, False)
            self.the_log_is_the_models_and_no_byte_of_it_ever_changes()
        self.what_redis_holds_agrees_with_itself_and_with_the_model()
        check_answered_once(self.model.frames)


def check_answered_once(frames: list[dict[str, Any]]) -> None:
    """Every id is one message, every message has one answer, every answer one end."""
    created = [f["message"] for f in frames if f["type"] == "message.created"]
    ids = Counter(message["id"] for message in created if message["author"] == "customer")
    assert set(ids.values()) <= {1}, "a message stands twice"
    started = [f for f in frames if f["type"] == "answer.started" and f["attempt"] == 1]
    answered = Counter(m for f in started if "replaces" not in f for m in f["answers"])
    sent = Counter(message["m"] for message in created if message["author"] == "customer")
    assert answered == sent, "not answered, or answered twice"
    ends = Counter(f["m"] for f in frames if f["type"] == "answer.done")
    assert ends == Counter(f["m"] for f in started), "no end, or two"


async def attempt(call: Call, log: AnyLog) -> Any:
    try:
        return await call(log)
    except ParleyError as error:
        return error


async def held(server: ServerWorld, conversation: str) -> tuple[dict[str, str], Any, Any]:
    """The meta hash, the open text, and the lease in the index."""
    found, send = keys.conversation(conversation), server.commands.send
    meta, text, lease = await asyncio.gather(
        send("HGETALL", found.meta), send("GET", found.text),
        send("ZSCORE", found.leases, conversation),
    )  # fmt: skip
    fields = [part.decode() for part in meta]
    return (
        dict(zip(fields[::2], fields[1::2], strict=True)),
        None if text is None else text.decode(),
        None if lease is None else int(lease),
    )


def _encoded(frames: list[dict[str, Any]]) -> list[bytes]:
    from orjson import dumps

    return [dumps(frame) for frame in frames]


# Shrinking a walk takes minutes: add Phase.shrink where a long one cannot be read as it is.
WALKS = settings(
    max_examples=100,
    stateful_step_count=40,
    report_multiple_bugs=False,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@pytest.fixture
def walked(valkey: Valkey) -> Iterator[type[LogMachine]]:
    """The machine on a real server, in a loop of its own: Hypothesis calls it from outside."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        stack = AsyncExitStack()
        machine = type("Machine", (LogMachine,), {"runner": runner})
        machine.server = runner.run(stack.enter_async_context(ServerWorld.at(valkey.url)))
        yield machine
        runner.run(stack.aclose())


@pytest.mark.timeout(120)
def test_the_log_is_the_model_whatever_workers_do(walked: type[LogMachine]) -> None:
    run_state_machine_as_test(walked, settings=WALKS)


def test_a_walk_reaches_every_kind_of_frame(walked: type[LogMachine]) -> None:
    """The walks above are worth something only where their steps lead somewhere."""
    walk = walked()
    walk.begin()
    walk.accept(session="a", again=0, known=0, lost=False)
    walk.go_on(which=-1, acts=["One", " two", 3, " 🙂"], known=0, lost=True)
    walk.repeat(back=1)
    walk.take_over(session="b", which=-1, why="late", ago_ms=0, lost=False)
    walk.go_on(which=-2, acts=["zombie"], known=0, lost=False)
    walk.accept(session="a", again=0, known=0, lost=False)
    walk.finish(which=-1, reason="failed", noticed=True, known=0, lost=True)
    walk.finish(
        which=-1, reason="stop", noticed=False, known=0, lost=False
    )  # the one before, again
    walk.finish(which=-1, reason="stopped", noticed=False, known=0, lost=False)
    walk.retry(session="a", any=None, known=0, lost=False)
    walk.finish(which=-1, reason="stop", noticed=False, known=0, lost=False)
    for kind in ("rate", "resolve"):
        walk.command(session="b", which="newest", any=0, kind=kind, value=1, known=0)
    walk.accept(session="c", again=0, known=0, lost=False)
    frames = walk.model.frames
    walk.teardown()
    assert {frame["type"] for frame in frames} == {
        "message.created", "answer.started", "answer.delta", "answer.rewound", "answer.done",
        "answer.rated", "conversation.updated",
    }  # fmt: skip
    assert [f["reason"] for f in frames if f["type"] == "answer.done"] == [
        "failed", "stopped", "stop", "stop",
    ]  # fmt: skip
