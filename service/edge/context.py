"""What a worker process hands to the ASGI application that it runs.

The application tells the process how it is (``tell``), and the process tells the application when
to stop taking work (``draining``). Between the two nothing else is shared, so that the application
runs under any server, in a test as well.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from service.core.model import Site
from service.settings import Settings

# starting: not up yet. ready: would take a new customer, as /readyz says. unready: runs, but would
# not (Redis is away). draining: is on its way out.
State = Literal["starting", "ready", "unready", "draining"]


def _to_nobody(state: State) -> None:
    pass


def _not_at_all() -> None:
    pass


def _to_no_heir(session: str) -> None:
    pass


@dataclass(slots=True, kw_only=True)
class WorkerContext:
    """One worker process, as its application sees it.

    ``session`` is the random id of this very process: permits, leases and fence notices name it.
    ``name`` (`worker-1`) and ``slot`` (0, 1, …) outlive the process: a replacement has them too.
    ``demo`` asks for the sample shop beside the customers' routes.
    """

    settings: Settings
    sites: Mapping[str, Site]
    session: str
    name: str
    slot: int
    demo: bool = False
    # Told by the application whenever its readiness changes.
    tell: Callable[[State], None] = _to_nobody
    # Ends the process at once, its sockets with it: for a worker that others believe to be dead.
    quit: Callable[[], None] = _not_at_all
    # Told by the process when another worker of this host has died: its session.
    bereaved: Callable[[str], None] = _to_no_heir
    # Set when the worker is to stop: take no new customer and no new turn, end what can be ended.
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    # Set by the application when nothing is left that is worth waiting for. Nobody waits for it
    # longer than until ``drain_by``.
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    drain_by: float = float("inf")  # time.monotonic() seconds

    def drain(self, within_s: float) -> None:
        """Begin to drain. Called again with less time, it only brings the end nearer."""
        self.drain_by = min(self.drain_by, time.monotonic() + within_s)
        self.draining.set()
