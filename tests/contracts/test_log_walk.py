"""Random walks: whatever two workers do, in whatever order, the log on the server and its twin in
memory give the same replies, and what they leave behind keeps the promises of the log.
"""

from collections import Counter
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core import hints, wire
from service.core.errors import ParleyError
from service.core.model import Accepted, Adopted, Attached, OpenTurn, Position, Written
from tests.support.log_rig import (
    MemoryWorld,
    ServerWorld,
    begin,
    changed,
    decoded,
    kinds,
    offsets,
    read,
    send,
)

NOTICE = wire.notice("answer_failed", "Sorry.", "en")
names = (f"walk-{number}" for number in count())

worker = st.sampled_from("ab")
# Mostly the newest turn that was told, sometimes one that is over or was taken away.
which = st.sampled_from([-1, -1, -1, -1, -1, -2, -3])
number = st.integers(-1, 9)
known = st.sampled_from([-1, 0, 0, 2, 5, 99])
steps = st.lists(
    st.one_of(
        *[st.tuples(st.just("accept"), worker, known, st.integers(1, 9))] * 3,
        st.tuples(st.just("append"), which, known, st.sampled_from(["One", " 🙂", "é/"])),
        st.tuples(st.just("append"), which, known, st.sampled_from(["\n", '"', "two"])),
        st.tuples(st.just("rewind"), which, known, st.integers(0, 4)),
        st.tuples(
            st.just("finish"), which, known,
            st.sampled_from(["stop", "stop", "failed", "stopped", "length", "withdrawn"]),
            st.sampled_from([b"", NOTICE]),
        ),
        st.tuples(st.just("again")),
        st.tuples(st.just("renew"), which),
        st.tuples(st.just("adopt"), worker, st.sampled_from([0, 1, 3000])),
        st.tuples(st.just("stop"), worker, number),
        st.tuples(st.just("rate"), worker, known, number, st.sampled_from([1, -1, 0])),
        st.tuples(st.just("retry"), worker, known, number),
        st.tuples(st.just("notice"), worker, known),
        st.tuples(st.just("resolve"), worker, known),
        st.tuples(st.just("attach"), worker, st.sampled_from(["e1", "e1", "e0"]), number),
        st.tuples(st.just("advance"), st.sampled_from([1, 1000, 3001, 60_000])),
    ),
    min_size=5,
    max_size=40,
)  # fmt: skip


class Walk:
    """Takes each step in both places, and knows what an owner would know."""

    def __init__(self, memory: MemoryWorld, server: ServerWorld, conversation: str) -> None:
        self.worlds = (memory, server)
        self.c = conversation
        self.told: list[tuple[str, OpenTurn, str]] = []  # session, turn, its text
        self.last: Any = None

    async def take(self, step: tuple[Any, ...]) -> None:
        kind, *given = step
        if kind == "advance":
            for world in self.worlds:
                await world.advance(given[0])
        elif kind == "again":
            if self.last is not None:
                await self.both(self.last)
        elif kind in ("append", "rewind", "finish", "renew"):
            if len(self.told) >= -given[0]:
                await getattr(self, kind)(*given)
        else:
            await getattr(self, kind)(*given)

    async def both(self, call: Any) -> Any:
        """Do ``call`` in both places. Returns the reply, None where it was refused."""
        replies = [await attempt(call, world) for world in self.worlds]
        assert comparable(replies[0]) == comparable(replies[1])
        return None if isinstance(replies[0], ParleyError) else replies[0]

    def learn(self, session: str, turn: OpenTurn | None, text: str = "") -> None:
        if turn is not None:
            self.told.append((session, turn, text))

    async def accept(self, session: str, known: int, i: int) -> None:
        reply = await self.both(
            lambda w: send(w.log(session), self.c, f"message-{i}", known=known, a_minute=5)
        )
        if reply is not None:
            self.learn(session, reply.written.turn)

    async def append(self, which: int, known: int, text: str) -> None:
        session, turn, before = self.told[which]
        whole = before + text
        frame = wire.delta(turn, wire.units(before), text)
        self.last = lambda w: w.log(session).append(
            self.c, known, turn,
            frames=[frame], text=text, length=wire.units(whole), crc32=wire.checksum(whole),
        )  # fmt: skip
        if await self.both(self.last) is not None:
            self.told[which] = session, changed(turn, step=turn.step + 1), whole

    async def rewind(self, which: int, known: int, at: int) -> None:
        session, turn, before = self.told[which]
        text = before[:at]
        self.last = lambda w: w.log(session).rewind(
            self.c, known, turn, text=text, length=wire.units(text), crc32=wire.checksum(text)
        )
        if await self.both(self.last) is not None:
            after = changed(turn, step=turn.step + 1, revision=turn.revision + 1)
            self.told[which] = session, after, text

    async def finish(self, which: int, known: int, reason: str, notice: bytes) -> None:
        session, turn, _ = self.told[which]
        self.last = lambda w: w.log(session).finish(
            self.c, known, turn, reason=reason, notice=notice
        )
        reply = await self.both(self.last)
        if reply is not None:
            self.learn(session, reply.turn)

    async def renew(self, which: int) -> None:
        session, turn, _ = self.told[which]
        await self.both(lambda w: w.log(session).renew(self.c, turn))

    async def adopt(self, session: str, ago_ms: int) -> None:
        reply = await self.both(lambda w: w.log(session).adopt(self.c, looked_ms=w.now_ms - ago_ms))
        if reply is not None:
            self.learn(session, reply.turn, reply.text)

    async def stop(self, session: str, m: int) -> None:
        await self.both(lambda w: w.log(session).stop(self.c, m))

    async def rate(self, session: str, known: int, m: int, value: int) -> None:
        await self.both(lambda w: w.log(session).rate(self.c, known, m=m, value=value))

    async def retry(self, session: str, known: int, m: int) -> None:
        reply = await self.both(lambda w: w.log(session).retry(self.c, known, m=m))
        if reply is not None:
            self.learn(session, reply.turn)

    async def notice(self, session: str, known: int) -> None:
        await self.both(lambda w: w.log(session).notice(self.c, known, NOTICE))

    async def resolve(self, session: str, known: int) -> None:
        await self.both(lambda w: w.log(session).resolve(self.c, known))

    async def attach(self, session: str, epoch: str, offset: int) -> None:
        position = Position(epoch, offset) if offset >= 0 else None
        await self.both(lambda w: w.log(session).attach(self.c, position))


async def attempt(call: Any, world: Any) -> Any:
    try:
        return await call(world)
    except ParleyError as error:
        return error


def comparable(reply: Any) -> Any:
    """A reply without what may differ: how a stored message is spaced and escaped."""
    match reply:
        case ParleyError():
            return type(reply), getattr(reply, "retry_ms", None), getattr(reply, "has", None)
        case Attached(messages=messages):
            bare = {name: getattr(reply, name) for name in reply.__struct_fields__}
            return bare | {"messages": decoded(messages)}
        case Accepted() | Adopted() | Written() | bool() | None:
            return reply
    raise AssertionError(f"an unknown reply: {reply!r}")


def check_promises(frames: list[bytes], waiting: list[int], open_turn: OpenTurn | None) -> None:
    """``frames``: everything ever logged. ``waiting``: messages that the next turn will answer."""
    assert offsets(frames) == list(range(1, len(frames) + 1))
    read(frames)  # every delta fits its place; length and checksum are right at the end
    events = decoded(frames)
    ids = Counter(
        e["message"]["id"]
        for e in events
        if e["type"] == "message.created" and e["message"]["author"] == "customer"
    )
    sent = {e["message"]["m"] for e in events if "id" in e.get("message", {})}
    assert set(ids.values()) <= {1}, "a message was stored twice"
    started = [e for e in events if e["type"] == "answer.started"]
    first = [e for e in started if e["attempt"] == 1]
    answered = Counter(m for e in first if "replaces" not in e for m in e["answers"])
    assert Counter(sent) == answered + Counter(waiting), "not answered, or answered twice"
    ends = Counter(e["m"] for e in events if e["type"] == "answer.done")
    running = {open_turn.m: 1} if open_turn is not None else {}
    assert Counter(e["m"] for e in first) == ends + Counter(running)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(walk=steps)
async def test_server_and_twin_agree_on_any_walk_and_keep_the_promises(valkey, walk):
    async with ServerWorld.at(valkey.url) as server:
        memory = MemoryWorld()
        memory.memory.now_ms = server.now_ms
        walker = Walk(memory, server, next(names))
        for world in walker.worlds:
            await begin(world.log("a"), walker.c)
        for step in walk:
            await walker.take(step)
        said = [hint for _, hint in memory.memory.air.said if isinstance(hint, hints.Logged)]
        kept = memory.memory.conversations[walker.c]
        frames = [frame for hint in said for frame in hint.frames]
        check_promises(frames, kept.queued, kept.turn)
        assert await server.entries(walker.c) == await memory.entries(walker.c)


async def test_a_walk_reaches_every_kind_of_frame(valkey):
    """The walk above is worth something only where its steps lead somewhere."""
    memory = MemoryWorld()
    async with ServerWorld.at(valkey.url) as server:
        memory.memory.now_ms = server.now_ms
        walker = Walk(memory, server, next(names))
        for world in walker.worlds:
            await begin(world.log("a"), walker.c)
        for step in [
            ("accept", "a", 0, 1), ("append", -1, 0, "One"), ("again",), ("rewind", -1, 0, 1),
            ("advance", 3001), ("adopt", "b", 0), ("append", -2, 0, "zombie"),
            ("accept", "a", 0, 2), ("finish", -1, 0, "failed", NOTICE), ("again",),
            ("append", -1, 0, "Two"), ("finish", -1, 0, "stopped", b""), ("retry", "a", 0, 5),
            ("finish", -1, 0, "stop", b""), ("rate", "b", 0, 6, 1), ("resolve", "b", 0),
            ("accept", "b", 0, 3), ("renew", -1),
        ]:  # fmt: skip
            await walker.take(step)
        assert set(kinds(await server.entries(walker.c))) == {
            "message.created", "answer.started", "answer.delta", "answer.rewound", "answer.done",
            "answer.rated", "conversation.updated",
        }  # fmt: skip
