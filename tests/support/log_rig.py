"""What a test of the log needs around it, the same for the real one and for its twin in memory.

A `World` is one place that conversations are kept in: `log(session)` is a worker's view of it. Its
clock stands still until a test moves it. On the server that is a `clock.lua` of the tests' own: it
returns a number that a function sets, so it touches no key and fits every slot.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

import orjson

from service.core import hints, wire
from service.core.model import Accepted, OpenTurn, Written
from service.store import keys
from service.store.channels import Channels
from service.store.connection import Commands
from service.store.log import Log, library
from service.store.subscriber import Subscriber
from tests.support.twins.channels import MemoryChannels
from tests.support.twins.log import MemoryLog
from tests.support.twins.memory import Memory

START_MS = 1_700_000_000_000
CLOCK = f"""
local standing = {START_MS}
local function now_ms()
  return standing
end
redis.register_function('parley_test_clock', function(keys, args)
  standing = tonumber(args[1])
  return standing
end)
"""
FUNCTIONS = library(clock=CLOCK)
AnyLog = Log | MemoryLog


class World(Protocol):
    """Where conversations are kept, as several workers share it."""

    now_ms: int

    def log(self, session: str) -> AnyLog: ...

    async def advance(self, ms: int) -> None: ...

    async def entries(self, conversation: str) -> list[bytes]:
        """The kept log."""
        ...

    async def shorten(self, conversation: str, kept: int) -> None:
        """Keep the newest ``kept`` entries of the log, as time would."""
        ...

    async def hear(self, session: str, conversation: str) -> list[hints.Hint]:
        """What is said on the conversation's channel from now on, as ``session`` hears it."""
        ...


class MemoryWorld:
    def __init__(self) -> None:
        self.memory = Memory()

    @property
    def now_ms(self) -> int:
        return self.memory.now_ms

    def log(self, session: str) -> MemoryLog:
        return MemoryLog(self.memory, session=session)

    async def advance(self, ms: int) -> None:
        self.memory.now_ms += ms

    async def entries(self, conversation: str) -> list[bytes]:
        kept = self.memory.conversations[conversation].entries
        return [kept[offset] for offset in sorted(kept)]

    async def shorten(self, conversation: str, kept: int) -> None:
        entries = self.memory.conversations[conversation].entries
        for offset in sorted(entries)[: len(entries) - kept]:
            del entries[offset]

    async def hear(self, session: str, conversation: str) -> list[hints.Hint]:
        heard: list[hints.Hint] = []
        channels = MemoryChannels(self.memory.air, session=session)
        await channels.follow(conversation, heard.append)
        return heard


class ServerWorld:
    """The real log on a real server. Open it with ``async with ServerWorld.at(url)``."""

    def __init__(self, url: str, commands: Commands, stack: AsyncExitStack) -> None:
        self.url = url
        self.now_ms = START_MS
        self.commands = commands
        self._stack = stack
        self._subscribers: dict[str, Subscriber] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, url: str) -> "AsyncIterator[ServerWorld]":
        async with AsyncExitStack() as stack:
            commands = await stack.enter_async_context(Commands.open(url, name="test"))
            await commands.wait_up()
            world = cls(url, commands, stack)
            await world.log("any").load()
            await world.advance(0)
            yield world

    def log(self, session: str) -> Log:
        return Log(self.commands, session=session, functions=FUNCTIONS)

    async def advance(self, ms: int) -> None:
        self.now_ms += ms
        await self.commands.send("FCALL", "parley_test_clock", 0, self.now_ms)

    async def entries(self, conversation: str) -> list[bytes]:
        found = await self.commands.send("XRANGE", keys.conversation(conversation).log, "-", "+")
        return [fields[1] for _, fields in found]

    async def shorten(self, conversation: str, kept: int) -> None:
        await self.commands.send("XTRIM", keys.conversation(conversation).log, "MAXLEN", kept)

    async def hear(self, session: str, conversation: str) -> list[hints.Hint]:
        connected = asyncio.Event()
        subscriber = await self._stack.enter_async_context(
            Subscriber.open(self.url, name="test", missed=connected.set)
        )
        await connected.wait()
        heard: list[hints.Hint] = []
        channels = Channels(self.commands, subscriber, session=session)
        await channels.follow(conversation, heard.append)
        return heard


# -- writing, without the paperwork ---------------------------------------------------------


async def begin(log: AnyLog, conversation: str, epoch: str = "e1") -> None:
    await log.begin(conversation, epoch=epoch, site="pk_test", retention_s=3600)


async def send(
    log: AnyLog,
    conversation: str,
    text: str = "Hello",
    *,
    id: str = "",
    known: int = 0,
    a_minute: int = 1000,
) -> Accepted:
    """Accept a customer's message; its id is its text where none is given."""
    tail = orjson.dumps({"author": "customer", "id": id or text, "text": text, "language": "en"})
    return await log.accept(conversation, known, id=id or text, message=tail[1:], a_minute=a_minute)


async def ask(log: AnyLog, conversation: str, text: str = "Hello", **more: Any) -> OpenTurn:
    """Accept a message that opens a turn."""
    turn = (await send(log, conversation, text, **more)).written.turn
    assert turn is not None, "a turn is open already"
    return turn


class Answer:
    """An owner who writes an answer, step by step, and counts as it must."""

    def __init__(self, log: AnyLog, conversation: str, turn: OpenTurn, text: str = "") -> None:
        self.log = log
        self.conversation = conversation
        self.turn = turn
        self.text = text
        self.known = 0

    async def append(self, text: str, *, done: bool = True) -> Written:
        """One delta. ``done`` false: the reply was lost, so the owner does not count it."""
        whole = self.text + text
        written = await self.log.append(
            self.conversation,
            self.known,
            self.turn,
            frames=[wire.delta(self.turn, wire.units(self.text), text)],
            text=text,
            length=wire.units(whole),
            crc32=wire.checksum(whole),
        )
        return self._count(written, whole) if done else written

    async def rewind(self, at: int) -> Written:
        text = self.text[:at]
        written = await self.log.rewind(
            self.conversation, self.known, self.turn,
            text=text, length=wire.units(text), crc32=wire.checksum(text),
        )  # fmt: skip
        self.turn = changed(self.turn, revision=self.turn.revision + 1)
        return self._count(written, text)

    async def finish(self, reason: str = "stop", **more: bytes) -> Written:
        return await self.log.finish(
            self.conversation, self.known, self.turn, reason=reason, **more
        )

    def _count(self, written: Written, text: str) -> Written:
        self.turn = changed(self.turn, step=self.turn.step + 1)
        self.text = text
        return written


def changed(turn: OpenTurn, **changes: Any) -> OpenTurn:
    fields = {name: getattr(turn, name) for name in turn.__struct_fields__}
    return OpenTurn(**fields | changes)


async def answer(log: AnyLog, conversation: str, question: str, text: str) -> OpenTurn:
    """A whole question and answer."""
    told = Answer(log, conversation, await ask(log, conversation, question))
    if text:
        await told.append(text)
    await told.finish()
    return told.turn


# -- reading --------------------------------------------------------------------------------


def decoded(frames: Sequence[bytes]) -> list[dict[str, Any]]:
    return [json.loads(frame) for frame in frames]


def offsets(frames: Sequence[bytes]) -> list[int]:
    return [frame["o"] for frame in decoded(frames)]


def kinds(frames: Sequence[bytes]) -> list[str]:
    return [frame["type"] for frame in decoded(frames)]


def read(frames: Sequence[bytes]) -> dict[int, str]:
    """What a client has on its screen after these frames, by the rules of the wire."""
    shown: dict[int, bytes] = {}
    revisions: dict[int, int] = {}
    for frame in decoded(frames):
        m = frame.get("m")
        match frame["type"]:
            case "message.created":
                shown[frame["message"]["m"]] = frame["message"]["text"].encode("utf-16-le")
            case "answer.started":
                shown.setdefault(m, b"")
                revisions[m] = frame["r"]
            case "answer.delta":
                assert frame["r"] == revisions[m], "a delta of a revision that nobody opened"
                assert len(shown[m]) == 2 * frame["at"], "a delta that does not fit its place"
                shown[m] += frame["text"].encode("utf-16-le")
            case "answer.rewound":
                assert frame["r"] > revisions[m]
                shown[m], revisions[m] = shown[m][: 2 * frame["at"]], frame["r"]
            case "answer.done":
                if frame["reason"] == "withdrawn":
                    shown[m] = b""
                text = shown[m].decode("utf-16-le")
                assert frame["length"] == wire.units(text)
                assert frame["crc32"] == wire.checksum(text)
    return {m: text.decode("utf-16-le") for m, text in shown.items()}
