"""Plays a plan to the client, each step at its deadline, and ends the work by the model's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import Send

from service.simulator.plan import Ending, Pause, Plan
from service.simulator.work import Work

_STEPS_PER_TURN = 16  # of those already due, before other streams get the loop
_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
]


async def silence(seconds: float) -> None:
    """Wait so long; below 0: until the client gives up."""
    if seconds < 0:
        await asyncio.get_running_loop().create_future()
    else:
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class Playback:
    """One streamed answer on its way out."""

    send: Send
    work: Work
    plan: Plan
    deadlines: list[float]  # at least one; the last is the end of work

    async def run(self) -> None:
        """Headers, steps, closing. Returns without a complete body where the plan says so."""
        plan = self.plan
        if not plan.pauses:
            self.work.ends_at(self.deadlines[-1], plan.outcome)
        await self.send({"type": "http.response.start", "status": 200, "headers": _STREAM_HEADERS})
        delay = await self._steps()
        await self._until(self.deadlines[-1], delay)
        await self.work.written(self.send)
        self.work.end(plan.outcome)
        if plan.closing:
            await self._write(b"".join(plan.closing))
        if plan.ending is Ending.COMPLETE:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _steps(self) -> float:
        """Play the steps; returns the seconds that pauses have added."""
        loop = asyncio.get_running_loop()
        write = self._writer()
        delay, index, ready = 0.0, 0, 0
        last = len(self.deadlines) - 1
        for step in self.plan.steps:
            if isinstance(step, Pause):
                begun = loop.time()
                await silence(step.seconds)
                delay += loop.time() - begun
                continue
            wait = self._left(self.deadlines[min(index, last)], delay)
            index += 1
            if wait > 0:
                await asyncio.sleep(wait)
                ready = 0
            elif (ready := ready + 1) % _STEPS_PER_TURN == 0:
                await asyncio.sleep(0)
            await write(step)
        return delay

    def _left(self, deadline: float, delay: float) -> float:
        """Seconds to a deadline, by the model's clock."""
        return deadline + delay + self.work.stood_still - asyncio.get_running_loop().time()

    async def _until(self, deadline: float, delay: float) -> None:
        wait = self._left(deadline, delay)
        if wait > 0:
            await asyncio.sleep(wait)

    def _writer(self) -> Callable[[bytes], Awaitable[None]]:
        plain = not (self.plan.write_bytes or self.plan.crlf)
        return self._send_body if plain else self._write

    async def _send_body(self, body: bytes) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def _write(self, body: bytes) -> None:
        """A write under the plan's line ends and sizes."""
        if self.plan.crlf:
            body = body.replace(b"\n", b"\r\n")
        size = self.plan.write_bytes or len(body)
        for start in range(0, len(body), size):
            await self._send_body(body[start : start + size])
            if size < len(body):
                await asyncio.sleep(0)  # so that the writes reach the reader apart
