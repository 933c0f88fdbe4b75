"""What the flows need of the outside world, as small Protocols.

`store/` and `clients/` fit them without knowing them; `edge/app.py` puts the two together, and
mypy proves the fit there. The in-memory twins under `tests/` fit them too and pass the same
contract suites.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from service.core.hints import Hint
from service.core.model import (
    Accepted,
    Adopted,
    Attached,
    ModelEvent,
    ModelRequest,
    OpenTurn,
    Position,
    Written,
)

Priority = Literal["live", "background"]
# What a permit's request came to, set before the permit is given back: "ok" frees it at once;
# "aborted" (the request was cut from our side) frees it after the linger; a provider's error code,
# such as "1302", frees it at once and steers the limit.
Outcome = str

# Tells a waiter its place: position (1 is next) and the expected wait in milliseconds.
Place = Callable[[int, int], None]


class Permit(Protocol):
    """The right to one model request in flight, from before connect to after the last byte."""

    id: str
    deadline: float  # time.monotonic() seconds: the request must have ended by then
    waited_ms: int
    outcome: Outcome


class Permits(Protocol):
    """The account's tier, shared by all workers."""

    def acquire(
        self,
        *,
        flow: str,
        priority: Priority,
        deadline: float,
        place: Place | None = None,
        since: float | None = None,
    ) -> AbstractAsyncContextManager[Permit]:
        """Wait for a permit until ``deadline`` (time.monotonic() seconds).

        ``flow`` is who asks (site and address), for fairness. ``since`` (time.monotonic()) marks a
        request that queues again, with the time it first queued: it goes to the head.
        Raises QueueTooLong, PermitTimeout or PermitsUnavailable.
        """
        ...


class Model(Protocol):
    """The provider's streaming API: one attempt a call, no retries."""

    def stream(
        self, request: ModelRequest, *, deadline: float
    ) -> AbstractAsyncContextManager[AsyncIterator[ModelEvent]]:
        """Events of one answer: text deltas, tool calls, at last exactly one Finished.

        Leaving the context closes the connection, which aborts the request. Everything that can go
        wrong is a ModelError; ``deadline`` is in time.monotonic() seconds.
        """
        ...


class Channels(Protocol):
    """Hints between workers that a conversation went on. Hints may be lost; the log may not."""

    async def follow(self, conversation: str, receive: Callable[[Hint], None]) -> None: ...

    async def leave(self, conversation: str) -> None: ...

    async def show(self, conversation: str, frame: bytes) -> None: ...

    async def ask(self, conversation: str) -> None: ...


class Reader(Protocol):
    """A conversation's log, read."""

    async def attach(self, conversation: str, position: Position | None) -> Attached: ...

    async def messages(self, conversation: str, *, before: int, count: int) -> list[bytes]: ...


class Owner(Protocol):
    """What the owner of a turn writes. Every call may be repeated.

    ``known`` is the newest offset that the caller has; the reply's frames begin after it.
    """

    async def append(
        self,
        conversation: str,
        known: int,
        turn: OpenTurn,
        *,
        frames: Sequence[bytes],
        text: str,
        length: int,
        crc32: int,
    ) -> Written: ...

    async def rewind(
        self, conversation: str, known: int, turn: OpenTurn, *, text: str, length: int, crc32: int
    ) -> Written: ...

    async def finish(
        self,
        conversation: str,
        known: int,
        turn: OpenTurn,
        *,
        reason: str,
        sources: bytes = b"",
        notice: bytes = b"",
    ) -> Written: ...

    async def renew(self, conversation: str, turn: OpenTurn, *, asks: bool = False) -> bool: ...

    async def handover(self, conversation: str, turn: OpenTurn) -> None: ...


class Commands(Protocol):
    """What a customer's commands do to the log."""

    async def accept(
        self, conversation: str, known: int, *, id: str, message: bytes, a_minute: int
    ) -> Accepted: ...

    async def stop(self, conversation: str, m: int) -> None: ...

    async def rate(self, conversation: str, known: int, *, m: int, value: int) -> Written: ...

    async def retry(self, conversation: str, known: int, *, m: int) -> Written: ...

    async def notice(self, conversation: str, known: int, message: bytes) -> Written: ...

    async def resolve(self, conversation: str, known: int) -> Written: ...


class Orphans(Protocol):
    """Turns whose owner is gone."""

    async def expired(self, partition: int, *, most: int) -> tuple[int, list[tuple[str, int]]]: ...

    async def owned(self, partition: int, session: str, *, most: int) -> list[str]: ...

    async def adopt(
        self, conversation: str, *, looked_ms: int, dead: str = ""
    ) -> Adopted | None: ...


class Log(Reader, Owner, Commands, Orphans, Protocol):
    """All of it: one object serves every part."""
