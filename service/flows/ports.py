"""What the flows need of the outside world, as small Protocols.

`store/` and `clients/` fit them without knowing them; `edge/app.py` puts the two together, and
mypy proves the fit there. The in-memory twins under `tests/` fit them too and pass the same
contract suites.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from service.core.model import ModelEvent, ModelRequest

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
