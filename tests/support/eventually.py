"""Waiting for what happens in its own time, without guessing how long that is.

A test never sleeps for a number that "should do": it polls a condition, goes on at once when it
holds, and fails with what it was waiting for when it does not.
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")

WITHIN_S = 5.0  # generous: two test workers and their servers may share two cores
EVERY_S = 0.01


async def eventually(
    check: Callable[[], Value | Awaitable[Value]],
    *,
    within: float = WITHIN_S,
    every: float = EVERY_S,
    what: str = "",
) -> Value:
    """The first truthy value of ``check()``, which may be async, asked every ``every`` seconds.

    An AssertionError of ``check`` counts as "not yet"; the last one is raised when ``within``
    seconds have passed, so that ``check`` may be a function of plain asserts that returns True.
    """
    deadline = time.monotonic() + within
    while True:
        failure: AssertionError | None = None
        value = None
        try:
            asked = check()
            value = await asked if inspect.isawaitable(asked) else asked
        except AssertionError as error:
            failure = error
        if failure is None and value:
            return value
        if time.monotonic() >= deadline:
            named = what or getattr(check, "__doc__", None) or getattr(check, "__name__", "it")
            raise AssertionError(f"{named}: not within {within:g} s; last: {value!r}") from failure
        await asyncio.sleep(every)
