"""Channels in memory: hints between the workers of one test process.

Like the real ones they may be told to lose what is said. Delivery waits for the next turn of the
event loop, so that nobody hears a hint inside of the write that caused it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from service.core import hints
from service.core.errors import StoreUnavailable

Receive = Callable[[hints.Hint], None]


class Air:
    """What all workers of a test share: who listens, and whether anything gets through."""

    def __init__(self) -> None:
        self.listeners: dict[str, dict[str, Receive]] = defaultdict(dict)
        self.said: list[tuple[str, hints.Hint]] = []  # everything, lost or not
        self.loses: Callable[[hints.Hint], bool] = lambda hint: False

    def say(self, conversation: str, hint: hints.Hint) -> None:
        self.said.append((conversation, hint))
        if self.loses(hint):
            return
        loop = asyncio.get_running_loop()
        for session, receive in list(self.listeners[conversation].items()):
            if hint.session != session or isinstance(hint, hints.OF_ALL):
                loop.call_soon(receive, hint)


class MemoryChannels:
    """Fits ``flows.ports.Channels``: one worker's ear and mouth."""

    def __init__(self, air: Air, *, session: str) -> None:
        self.session = session
        self.away = False
        self._air = air

    async def follow(self, conversation: str, receive: Receive) -> None:
        if self.away:
            raise StoreUnavailable("not connected to Redis")
        self._air.listeners[conversation][self.session] = receive

    async def leave(self, conversation: str) -> None:
        self._air.listeners[conversation].pop(self.session, None)

    async def show(self, conversation: str, frame: bytes) -> None:
        self._air.say(conversation, hints.Shown(self.session, frame))

    async def ask(self, conversation: str) -> None:
        self._air.say(conversation, hints.Asked(self.session))
