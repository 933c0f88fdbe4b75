"""The log in memory: the same decisions as the functions on the server, in plain Python.

For tests of flows, and to compare the real one with: it passes the same contract suite, and takes
random walks beside the real one that must lead both to the same replies.
"""

import orjson

from service.core.errors import NoSuchMessage, NotRetryable
from service.core.model import Accepted, Attached, Position, Written
from tests.support.twins.memory import Conversation
from tests.support.twins.owner import OwnersWrites

REPLAY_ENTRIES = 512
REPLAY_BYTES = 65_536
SNAPSHOT_MESSAGES = 50
AGAIN = ("failed", "stopped", "length")


class MemoryLog(OwnersWrites):
    """Fits ``flows.ports.Log``: one worker's session on the shared memory."""

    # -- a customer's commands --------------------------------------------------------------

    async def begin(self, conversation: str, *, epoch: str, site: str, retention_s: int) -> int:
        def work() -> int:
            new = Conversation(conversation, epoch, site)
            return self._memory.conversations.setdefault(conversation, new).generation

        return await self._do("begin", work)

    async def redeem(
        self, conversation: str, *, used: str, successor: str, lives_s: int
    ) -> int | None:
        def work() -> int | None:
            found = self._memory.conversations.get(conversation)
            return found and found.redeem(used, successor, self._memory.now_ms)

        return await self._do("redeem", work)

    async def accept(
        self, conversation: str, known: int, *, id: str, message: bytes, a_minute: int
    ) -> Accepted:
        def work() -> Accepted:
            c = self._open(conversation)
            if id in c.ids:
                ours = c.owner == self.session and not c.text
                turn = c.open_answer() if ours else None
                return Accepted(*c.ids[id], True, Written(c.top, c.after(known), turn))
            c.limit(self._memory.now_ms, a_minute)
            c.log_message(message, self._memory.now_ms)
            m, offset = c.remember(id)
            if c.status == "resolved":
                c.status = "assisted"
                c.log('"type":"conversation.updated","status":"assisted"}')
            c.queued.append(m)
            opened = self._open_next(c)
            self._memory.publish(c, self.session)
            return Accepted(m, offset, False, Written(c.top, c.after(known), opened))

        return await self._do("accept", work)

    async def stop(self, conversation: str, m: int) -> None:
        def work() -> None:
            c = self._open(conversation)
            if m > c.newest:
                raise NoSuchMessage(str(m))
            if c.turn is not None and c.turn.m == m:
                c.change_turn(cancelled=True)
                self._memory.stop(c, self.session)

        await self._do("stop", work)

    async def rate(self, conversation: str, known: int, *, m: int, value: int) -> Written:
        def work() -> Written:
            c = self._open(conversation)
            if c.messages.get(m, {}).get("author") != "assistant":
                raise NoSuchMessage(str(m))
            c.messages[m]["rating"] = value
            c.log(f'"type":"answer.rated","m":{m},"value":{value}}}')
            return self._written(c, known)

        return await self._do("rate", work)

    async def retry(self, conversation: str, known: int, *, m: int) -> Written:
        def work() -> Written:
            c = self._open(conversation)
            last, reason, answers = c.last
            if last != m or reason not in AGAIN or c.turn or c.status != "assisted":
                raise NotRetryable(str(m))
            c.open_turn(self.session, answers, m, self._memory.now_ms)
            self._lease(c)
            return self._written(c, known, c.open_answer())

        return await self._do("retry", work)

    async def notice(self, conversation: str, known: int, message: bytes) -> Written:
        def work() -> Written:
            c = self._open(conversation)
            c.log_message(message, self._memory.now_ms)
            return self._written(c, known)

        return await self._do("notice", work)

    async def resolve(self, conversation: str, known: int) -> Written:
        def work() -> Written:
            c = self._open(conversation)
            if c.status != "resolved":
                c.status = "resolved"
                c.log('"type":"conversation.updated","status":"resolved"}')
            return self._written(c, known)

        return await self._do("resolve", work)

    # -- reading ------------------------------------------------------------------------------

    async def attach(self, conversation: str, position: Position | None) -> Attached:
        def work() -> Attached:
            c = self._open(conversation)
            mode, frames = _what_is_missing(c, position)
            messages = () if mode == "replay" else _messages(c, c.newest + 1, SNAPSHOT_MESSAGES)
            return Attached(
                mode=mode, epoch=c.epoch, top=c.top, status=c.status, generation=c.generation,
                newest=c.newest, site=c.site, turn=c.open_answer(),
                text="" if mode == "replay" else c.text, frames=frames, messages=messages,
            )  # fmt: skip

        return await self._do("attach", work)

    async def messages(self, conversation: str, *, before: int, count: int) -> list[bytes]:
        def work() -> list[bytes]:
            self._memory.read.append((before, count))
            found = self._memory.conversations.get(conversation)
            return list(_messages(found, before, count)) if found else []

        return await self._do("messages", work)


def _what_is_missing(c: Conversation, position: Position | None):  # type: ignore[no-untyped-def]
    if position is None or not position.epoch:
        return "snapshot", ()
    if position.epoch != c.epoch or position.offset > c.top:
        return "reset", ()
    frames, missing = c.after(position.offset), c.top - position.offset
    whole = len(frames) == missing <= REPLAY_ENTRIES
    if not whole or sum(map(len, frames)) > REPLAY_BYTES:
        return "snapshot", ()
    return "replay", frames


def _messages(c: Conversation, before: int, count: int) -> tuple[bytes, ...]:
    numbers = range(max(1, before - count), before)
    return tuple(orjson.dumps(c.messages[m]) for m in numbers if m in c.messages)
