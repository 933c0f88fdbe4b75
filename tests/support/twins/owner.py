"""What the owner of a turn writes, and how another worker takes the turn over: in memory."""

from collections.abc import Callable, Sequence

import orjson

from service.core import hints
from service.core.errors import StepMissing, TurnLost
from service.core.model import Adopted, OpenTurn, Written
from service.store import keys
from tests.support.twins.memory import Conversation
from tests.support.twins.worker import Worker

KEPT_ENTRIES = 512


class OwnersWrites(Worker):
    async def append(
        self, conversation: str, known: int, turn: OpenTurn, *, frames: Sequence[bytes],
        text: str, length: int, crc32: int,
    ) -> Written:  # fmt: skip
        def work(c: Conversation) -> None:
            for frame in frames:
                c.log(frame.decode())
            c.text, c.length, c.crc32 = c.text + text, length, crc32

        return await self._do("append", lambda: self._step(conversation, known, turn, work))

    async def rewind(
        self, conversation: str, known: int, turn: OpenTurn, *, text: str, length: int, crc32: int
    ) -> Written:
        def work(c: Conversation) -> None:
            assert c.turn is not None
            c.change_turn(revision=c.turn.revision + 1)
            c.text, c.length, c.crc32 = text, length, crc32
            c.log(f'"type":"answer.rewound","m":{c.turn.m},"r":{c.turn.revision},"at":{length}}}')

        return await self._do("rewind", lambda: self._step(conversation, known, turn, work))

    def _step(
        self, name: str, known: int, turn: OpenTurn, work: Callable[[Conversation], None]
    ) -> Written:
        c = self._open(name)
        if c.turn is None or not self._owns(c, turn):
            raise TurnLost(name)
        if self._is_new(c, turn):
            work(c)
            c.step += 1
        self._lease(c)
        marked = c.turn.cancelled and c.turn.m == turn.m
        return self._written(c, known, cancelled=marked)

    def _owns(self, c: Conversation, turn: OpenTurn) -> bool:
        return c.owner == self.session and c.fence == turn.fence

    def _is_new(self, c: Conversation, turn: OpenTurn) -> bool:
        """False for the step that was done last. Raises StepMissing for any other but the next."""
        if turn.step + 1 == c.step:
            return False
        if turn.step != c.step:
            raise StepMissing(c.name, has=c.step)
        return True

    async def finish(
        self, conversation: str, known: int, turn: OpenTurn, *, reason: str,
        sources: bytes = b"", notice: bytes = b"",
    ) -> Written:  # fmt: skip
        def work() -> Written:
            c = self._open(conversation)
            if not self._owns(c, turn):
                raise TurnLost(conversation)
            if self._is_new(c, turn):
                if c.turn is None:
                    raise TurnLost(conversation)
                self._end_answer(c, reason, sources, notice)
                self._open_next(c)
                c.step += 1
            return self._written(c, known, c.open_answer())

        return await self._do("finish", work)

    def _end_answer(self, c: Conversation, reason: str, sources: bytes, notice: bytes) -> None:
        turn = c.turn
        assert turn is not None
        if reason == "withdrawn":
            c.text, c.length, c.crc32 = "", 0, 0
            c.entries.clear()
        if notice:
            c.log_message(notice, self._memory.now_ms)
        c.messages[turn.m] = {
            "m": turn.m, "time": self._memory.now_ms, "author": "assistant", "text": c.text,
            "r": turn.revision, "done": True, "reason": reason, "answers": list(turn.answers),
        } | ({} if turn.replaces is None else {"replaces": turn.replaces})  # fmt: skip
        found = f',"sources":{sources.decode()}' if sources else ""
        if sources:
            c.messages[turn.m]["sources"] = orjson.loads(sources)
        c.log(
            f'"type":"answer.done","m":{turn.m},"reason":"{reason}","length":{c.length},'
            f'"crc32":{c.crc32}{found}}}'
        )
        c.last, c.turn, c.text = (turn.m, reason, turn.answers), None, ""
        for offset in sorted(c.entries)[:-KEPT_ENTRIES]:
            del c.entries[offset]

    async def renew(self, conversation: str, turn: OpenTurn, *, asks: bool = False) -> bool:
        def work() -> bool:
            c = self._memory.conversations.get(conversation)
            if c is None or c.turn is None or not self._owns(c, turn):
                raise TurnLost(conversation)
            self._lease(c)
            c.asked = c.asked or asks
            return c.turn.cancelled and c.turn.m == turn.m

        return await self._do("renew", work)

    async def handover(self, conversation: str, turn: OpenTurn) -> None:
        def work() -> None:
            c = self._memory.conversations.get(conversation)
            if c is None or c.turn is None or not self._owns(c, turn):
                raise TurnLost(conversation)
            c.lease, c.asked = 0, False
            self._memory.air.say(c.name, hints.GivenAway(self.session))

        await self._do("handover", work)

    # -- turns whose owner is gone ------------------------------------------------------------

    async def expired(self, partition: int, *, most: int) -> tuple[int, list[tuple[str, int]]]:
        def work() -> tuple[int, list[tuple[str, int]]]:
            late = sorted(
                (c.lease, c.name)
                for c in self._memory.conversations.values()
                if c.turn and c.lease <= self._memory.now_ms
                and keys.partition(c.name) == partition
            )  # fmt: skip
            return self._memory.now_ms, [(name, lease) for lease, name in late[:most]]

        return await self._do("expired", work)

    async def owned(self, partition: int, session: str, *, most: int) -> list[str]:
        def work() -> list[str]:
            names = (
                c.name
                for c in sorted(self._memory.conversations.values(), key=lambda c: c.lease)
                if c.turn and c.owner == session and keys.partition(c.name) == partition
            )
            return list(names)[:most]

        return await self._do("owned", work)

    async def adopt(self, conversation: str, *, looked_ms: int, dead: str = "") -> Adopted | None:
        def work() -> Adopted | None:
            c = self._memory.conversations.get(conversation)
            if c is None or c.turn is None:
                return None
            if c.lease and c.lease >= looked_ms and c.owner != dead:
                return None
            c.fresh = []
            c.owner, c.fence, c.step = self.session, c.fence + 1, 0
            spent = c.turn.spent + c.asked
            c.change_turn(attempt=c.turn.attempt + 1, spent=spent)
            c.asked = False
            self._lease(c)
            c.log_started()
            self._memory.publish(c, self.session)
            turn = c.open_answer()
            assert turn is not None
            return Adopted(turn, c.text, c.site, c.top, c.epoch)

        return await self._do("adopt", work)
