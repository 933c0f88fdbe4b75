"""Fence notices: telling the permits that a dead worker's sockets are closed.

A worker that dies leaves permits that nobody can give back. They stay counted, because its requests
may still run at the provider; only who has seen the process end knows that they do not. That is the
supervisor: for each of its workers, and at its start for those that a killed supervisor left. A
notice is repeated until Redis has taken it, and again when Redis comes back as another server
(restarted, failed over), which may have lost it. Such a server is told of the living workers, too:
one that is stopped at that moment, and that nobody else has heard of, may have requests open.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import structlog

from service.core.errors import StoreError
from service.core.permit_errors import PermitError
from service.host.folder import Trace, Traces
from service.settings import Settings
from service.store.connection import Commands
from service.store.permit_office import PermitOffice, account_name
from service.store.permit_steps import Timing

REPEATED_S = 150.0  # no request lives longer (120 s), and its linger with a margin
RETRY_S = 0.5  # while Redis is away, and between two looks at which server it is

log = structlog.get_logger("parley.supervisor")


def permit_office(commands: Commands, settings: Settings) -> PermitOffice:
    """The permits of the account and model that the workers of ``settings`` use."""
    return PermitOffice(
        commands,
        account=account_name(settings.model_url, settings.api_key),
        model=settings.model,
        timing=Timing(linger_s=settings.abort_linger_s, release_s=settings.release_linger_s),
    )


class Notices:
    """The notices of one supervisor: ``dead`` queues one, ``run`` delivers."""

    def __init__(
        self,
        commands: Commands,
        office: PermitOffice,
        traces: Traces,
        *,
        living: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """``living``: the sessions of the workers that have not died."""
        self._living = living
        self._alive: deque[str] = deque()
        self._commands = commands
        self._office = office
        self._traces = traces
        self._wake = asyncio.Event()
        self._due: deque[str] = deque()
        self._told: deque[tuple[float, str]] = deque()
        self._left: dict[str, Trace] = {}

    def dead(self, session: str) -> None:
        trace = self._traces.take(session)
        if trace is not None:
            self._left[session] = trace
        self._due.append(session)
        self._wake.set()

    def left_by_predecessor(self) -> None:
        """Queue the workers that died without a supervisor."""
        for trace in self._traces.left():
            self._left[trace.session] = trace
            self._due.append(trace.session)
        self._wake.set()

    async def run(self) -> None:
        run_id = ""
        self._commands.on_up.append(self._wake.set)
        try:
            while True:
                current = self._commands.run_id
                if current and current != run_id:
                    self._meet(first=not run_id)
                    run_id = current
                await self.deliver()
                self._wake.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_S):
                        await self._wake.wait()
        finally:
            self._commands.on_up.remove(self._wake.set)

    def _meet(self, *, first: bool) -> None:
        """Another server: what the last one was told is due again."""
        if not first:
            self._alive.extend(self._living())
        since = asyncio.get_running_loop().time() - REPEATED_S
        self._due.extend(session for when, session in self._told if when >= since)
        self._told.clear()

    async def deliver(self) -> None:
        """Tell what is due, as far as Redis is there; what it did not take stays due."""
        while self._alive:
            if not await self._told_of(self._alive[0], self._office.expect):
                return
            self._alive.popleft()
        while self._due:
            session = self._due[0]
            if not await self._told_of(session, self._office.fence):
                return
            self._due.popleft()
            self._told.append((asyncio.get_running_loop().time(), session))
            log.info("worker_fenced", session=session)
            if session in self._left:
                self._left.pop(session).forget()
            while self._told[0][0] < self._told[-1][0] - REPEATED_S:
                self._told.popleft()

    async def _told_of(self, session: str, tell: Callable[[str], Awaitable[object]]) -> bool:
        try:
            await tell(session)
        except (StoreError, PermitError):
            return False
        except Exception:  # a defect must not take the workers with it; it stays due
            log.exception("permits_not_told", session=session)
            return False
        return True
