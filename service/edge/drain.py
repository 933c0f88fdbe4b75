"""A worker's orderly end, from the customers' side: sockets go, answers end, nothing flickers.

Who gets a `goaway` opens a new socket, resumes on it, and then closes this one. It need not hurry,
and should not: were all sent at once, they would all come back at once, elsewhere. Sockets without
a running answer go first; the others have time until those are gone, and what is streamed to them
meanwhile reaches them here and there. An answer goes on here when its socket has left, and its
frames follow the customer through the log. What has not ended when the time is over is given away,
and the worker that has the customer's socket by then adopts it at once.
"""

import asyncio
import random
import time
from contextlib import suppress

from service.core import wire
from service.edge.sockets import Socket, Sockets
from service.flows.turn import Turns

SPREAD_S = 1.0  # for few sockets; what is asked here before they have gone must still end here
RESUMES_A_S = 500  # of many sockets; a worker on a core takes twice as many
SHARE = 4  # of the time there is, each half of the sockets gets at most this part
MOVE_S = 1.0  # for a new socket and its hello, before the old one is closed by us
LEFT_S = 0.5  # of the time there is, kept for the sockets' end


class Drain:
    """Drains once, in `run`; ``by`` is in time.monotonic() seconds."""

    def __init__(self, sockets: Sockets, turns: Turns, *, by: float) -> None:
        self._sockets = sockets
        self._turns = turns
        self._end = by - LEFT_S

    @property
    def _left_s(self) -> float:
        return max(0.0, self._end - time.monotonic())

    async def run(self) -> None:
        """Return when nothing is left that is worth waiting for."""
        sockets = list(self._sockets)
        spread_s = spread(len(sockets), self._left_s)
        for socket in sockets:
            socket.say(wire.goaway(_after_ms(socket, spread_s), "deploy"))
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._left_s, 2 * spread_s + MOVE_S)):
                await self._sockets.gone()
        await self._turns.drain(self._left_s)


def spread(sockets: int, left_s: float) -> float:
    """Seconds over which the idle of so many sockets are sent away; as many for the busy ones."""
    return min(max(SPREAD_S, sockets / RESUMES_A_S), left_s / SHARE)


def _after_ms(socket: Socket, spread_s: float) -> int:
    """An idle socket's time is the first half, that of one with a running answer the second."""
    begin_s = spread_s if socket.feed.open else 0.0
    return round(1000 * random.uniform(begin_s, begin_s + spread_s))
