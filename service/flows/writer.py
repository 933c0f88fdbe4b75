"""Turns the pieces of an answer into logged deltas.

One append is in flight at a time; whatever arrives meanwhile goes together into the next. So an
idle system waits for nothing, and a busy one batches by itself. While Redis is away the text
gathers here and the append is repeated until it is heard; should the log have lost steps, they are
written again from memory, at the same offsets.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from service.core import wire
from service.core.errors import StepMissing, StoreUnavailable
from service.core.model import OpenTurn, Source, Written
from service.flows.feed import Feed, Feeds
from service.flows.ports import Owner

PAUSES_S = (0.05, 0.1, 0.2, 0.5)  # between tries while Redis is away; the last repeats

Write = Callable[[OpenTurn], Awaitable[Written]]


class _Step(NamedTuple):
    number: int
    write: Write


class AnswerWriter:
    """Writes one turn's answer. ``run`` it in a task, ``add`` text, then ``finish``."""

    def __init__(self, owner: Owner, feeds: Feeds, feed: Feed, turn: OpenTurn, shown: str) -> None:
        self._owner = owner
        self._feeds = feeds
        self.feed = feed
        self.turn = turn
        self.text = shown  # logged so far
        self._length = wire.units(shown)
        self._crc = wire.checksum(shown)
        self._pending: list[str | int] = []  # text to add, or where to cut
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._steps: list[_Step] = []
        self.stopped = asyncio.Event()  # the customer wants the answer to stop
        if turn.cancelled:
            self.stopped.set()

    def add(self, text: str) -> None:
        """Put ``text`` behind what there is; it is logged and shown as soon as may be."""
        if text:
            self._pending.append(text)
            self._quiet.clear()
            self._wake.set()

    def cut(self, at: int) -> None:
        """Cut the shown answer to its first ``at`` code points, in a new revision."""
        self._pending.append(at)
        self._quiet.clear()
        self._wake.set()

    async def run(self) -> None:
        """Log what is added, for ever. Raises TurnLost or ConversationGone."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._pending:
                pending, self._pending = self._pending, []
                for item in _joined(pending):
                    if isinstance(item, int):
                        await self._rewind(item)
                    else:
                        await self._append(item)
            self._quiet.set()

    async def settled(self) -> None:
        """Until everything added has been logged."""
        await self._quiet.wait()

    async def finish(
        self, reason: str, *, sources: tuple[Source, ...] = (), notice: bytes = b""
    ) -> OpenTurn | None:
        """End the answer. Returns the next turn where messages waited for it."""
        await self.settled()

        async def write(turn: OpenTurn) -> Written:
            return await self._owner.finish(
                self.feed.conversation, self.feed.top, turn,
                reason=reason, sources=wire.sources(sources), notice=notice,
            )  # fmt: skip

        written = await self._step(write)
        return written.turn

    async def _rewind(self, cut: int) -> None:
        text = self.text[:cut]
        length, crc = wire.units(text), wire.checksum(text)

        async def write(turn: OpenTurn) -> Written:
            return await self._owner.rewind(
                self.feed.conversation, self.feed.top, turn, text=text, length=length, crc32=crc
            )

        await self._step(write)
        self.turn = msgspec.structs.replace(self.turn, revision=self.turn.revision + 1)
        self.text, self._length, self._crc = text, length, crc

    async def _append(self, text: str) -> None:
        frame = wire.delta(self.turn, self._length, text)
        self._length += wire.units(text)
        self._crc = wire.checksum(text, self._crc)
        self.text += text
        length, crc = self._length, self._crc

        async def write(turn: OpenTurn) -> Written:
            return await self._owner.append(
                self.feed.conversation, self.feed.top, turn,
                frames=[frame], text=text, length=length, crc32=crc,
            )  # fmt: skip

        await self._step(write)

    async def _step(self, write: Write) -> Written:
        """Do one numbered write, until it is certain that it was done once."""
        step = _Step(self.turn.step, write)
        self._steps.append(step)
        tries, missing = 0, [step]
        while True:
            try:
                for one in missing:
                    written = await one.write(_at(self.turn, one.number))
                break
            except StoreUnavailable:
                await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
                tries += 1
            except StepMissing as error:
                missing = self._since(error.has)
        self.turn = msgspec.structs.replace(self.turn, step=self.turn.step + 1)
        if written.cancelled:
            self.stopped.set()
        self._feeds.wrote(self.feed, written)
        return written

    def _since(self, has: int) -> list[_Step]:
        """What to write where the log has ``has`` steps: those after it; where it has all of them,
        the newest again, for its reply. Raises StepMissing where this turn does not hold them.
        """
        first = min(has, self.turn.step)
        lost = [step for step in self._steps if step.number >= first]
        if lost[0].number != first or has > self.turn.step + 1:
            raise StepMissing("lost beyond this turn's memory", has=has)
        return lost


def _at(turn: OpenTurn, step: int) -> OpenTurn:
    return msgspec.structs.replace(turn, step=step)


def _joined(pending: list[str | int]) -> list[str | int]:
    """Neighbouring pieces of text as one."""
    joined: list[str | int] = []
    for item in pending:
        if isinstance(item, str) and joined and isinstance(joined[-1], str):
            joined[-1] += item
        else:
            joined.append(item)
    return joined
