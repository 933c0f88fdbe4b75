"""One worker's session on the shared memory: what every part of the log in memory stands on."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from service.core.errors import ConversationGone, StoreUnavailable
from service.core.model import OpenTurn, Written
from tests.support.twins.memory import LEASE_MS, Conversation, Memory

T = TypeVar("T")


class Worker:
    """How a call reaches the memory, and what it leaves there."""

    def __init__(self, memory: Memory, *, session: str) -> None:
        self.session = session
        self._memory = memory

    async def _do(self, call: str, work: Callable[[], T]) -> T:
        """One call as a server has it: it may be lost on its way there, or its reply on its way."""
        await asyncio.sleep(0)
        self._memory.calls.append(call)
        fault = self._memory.fault(call)
        if fault == "before":
            raise StoreUnavailable("not connected to Redis")
        result = work()
        await asyncio.sleep(0)
        if fault == "after":
            raise StoreUnavailable("the connection to Redis broke")
        return result

    def _open(self, name: str) -> Conversation:
        found = self._memory.conversations.get(name)
        if found is None:
            raise ConversationGone(name)
        found.fresh = []
        return found

    def _lease(self, c: Conversation) -> None:
        c.lease = self._memory.now_ms + LEASE_MS

    def _open_next(self, c: Conversation) -> OpenTurn | None:
        """Open a turn for everything that waits, unless one is open."""
        if c.turn is not None or not c.queued:
            return None
        waiting, c.queued = c.queued, []
        c.open_turn(self.session, waiting, None, self._memory.now_ms)
        self._lease(c)
        return c.open_answer()

    def _written(
        self, c: Conversation, known: int, turn: OpenTurn | None = None, *, cancelled: bool = False
    ) -> Written:
        self._memory.publish(c, self.session)
        return Written(c.top, c.after(known), turn, cancelled)
