"""The upstream as one process sees it: an answer that arrives at its time.

An event loop's own timers would do for that, but for two things. They are rounded to milliseconds,
which is 5 % of a hold of 20 ms. And they are rounded to the *same* milliseconds in all processes,
so that every process of a run would give its permits back at the same instants, in batches that no
provider's answers come in. So the time comes from a timer of the kernel that is read like a socket:
it wakes the loop as an answer's last byte would.
"""

import asyncio
import ctypes
import heapq
import itertools
import os
import sys
import time

CLOCK_MONOTONIC = 1
TFD_NONBLOCK, TFD_CLOEXEC = os.O_NONBLOCK, getattr(os, "O_CLOEXEC", 0)
TFD_TIMER_ABSTIME = 1
NS = 1_000_000_000


class Times(ctypes.Structure):
    """struct itimerspec: the interval, which stays 0, and the time."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "at_s", "at_ns")]


class Upstream:
    """Open it with `with Upstream() as upstream:` in a running loop."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("this bench needs Linux: its clock and its timer are the same for all")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._due: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> "Upstream":
        self._timer = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._timer < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop.add_reader(self._timer, self._arrive)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._timer)
        os.close(self._timer)

    def answer(self, due: int) -> "asyncio.Future[None]":
        """Done at ``due``, in ns of the clock, and when the loop comes round to it."""
        answer: asyncio.Future[None] = self._loop.create_future()
        heapq.heappush(self._due, (due, next(self._numbers), answer))
        if self._due[0][2] is answer:
            self._set(due)
        return answer

    def _set(self, due: int) -> None:
        times = Times(0, 0, *divmod(due, NS))
        if self._libc.timerfd_settime(self._timer, TFD_TIMER_ABSTIME, ctypes.byref(times), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def _arrive(self) -> None:
        os.read(self._timer, 8)
        now = time.monotonic_ns()
        while self._due and self._due[0][0] <= now:
            answer = heapq.heappop(self._due)[2]
            if not answer.done():
                answer.set_result(None)
        if self._due:
            self._set(self._due[0][0])
