"""How long to wait for the model, and the one timer that ends the wait.

Four clocks run: to connect, to the first model token, between two of them, and the caller's
deadline, by which the request must have *ended*, because its permit ends then. The last one must
hold even while nobody reads: a turn that waits for Redis would otherwise keep a request open that
nobody counts any more. So no clock is a timeout around a read. `Watch` closes the response, which
also wakes a reader that waits, and costs a model token two assignments.

The silence clock stands still while the caller has the floor: its slowness is not the model's.
"""

import asyncio
import contextlib
import time

import httpx
import msgspec

from service.clients.provider_errors import WIRE
from service.core.errors import ModelCutOff, ModelError, ModelStalled


class Patience(msgspec.Struct, frozen=True):
    """How long to wait for the model, in seconds."""

    connect_s: float = 5.0
    first_s: float = 20.0  # from sending to the headers, and to the first model token
    silence_s: float = 15.0  # between two model tokens; comments that keep a line open are silence


class Watch:
    """Closes ``response`` when the model is silent too long, or when ``deadline`` comes."""

    def __init__(
        self, response: httpx.Response, started: float, deadline: float, patience: Patience
    ) -> None:
        self.expired: ModelError | None = None
        self._response = response
        self._deadline = deadline
        self._patience = patience
        self._since: float | None = started  # None: the caller has the floor
        self._limit = patience.first_s
        self._loop = asyncio.get_running_loop()
        self._closing: asyncio.Task[None] | None = None
        self._timer = self._loop.call_soon(self._look)

    def heard(self) -> None:
        """The model said something, and the caller gets the floor."""
        self._since = None

    def wait(self) -> None:
        """The caller wants more."""
        self._since = time.monotonic()
        if self._limit != self._patience.silence_s:
            self._limit = self._patience.silence_s
            self._timer.cancel()
            self._look()

    def stop(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        """Now, and then as late as nothing can have expired before."""
        now = time.monotonic()
        due = min(self._deadline, (now if self._since is None else self._since) + self._limit)
        if now < due:
            self._timer = self._loop.call_later(due - now, self._look)
        elif now >= self._deadline:
            self._expire(ModelCutOff("the request's deadline passed before its answer ended"))
        else:
            self._expire(ModelStalled(f"the model was silent for {self._limit:g} s"))

    def _expire(self, error: ModelError) -> None:
        self.expired = error
        self._closing = self._loop.create_task(shut(self._response))


async def shut(response: httpx.Response) -> None:
    """Close ``response``, and its connection with it unless it has ended."""
    with contextlib.suppress(*WIRE):
        await response.aclose()
