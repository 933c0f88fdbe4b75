"""Fence notices: telling the permits that a dead worker's sockets are closed.

A worker that dies leaves permits that nobody can give back. They stay counted, because its requests
may still run at the provider; only who has seen the process end knows that they do not. That is the
supervisor: for each of its workers, and at its start for those that a killed supervisor left. A
notice is repeated until Redis has taken it, and again when Redis comes back as another server
(restarted, failed over), which may have lost it.
"""

import asyncio
from collections import deque

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
        timing=Timing(linger_s=settings.abort_linger_s),
    )


class Notices:
    """The notices of one supervisor: ``dead`` queues one, ``run`` delivers."""

    def __init__(self, commands: Commands, office: PermitOffice, traces: Traces) -> None:
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
        while True:
            current = self._commands.run_id
            if current and current != run_id:
                run_id = current
                self._due_again()
            await self.deliver()
            self._wake.clear()
            try:
                async with asyncio.timeout(RETRY_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _due_again(self) -> None:
        since = asyncio.get_running_loop().time() - REPEATED_S
        self._due.extend(session for when, session in self._told if when >= since)
        self._told.clear()

    async def deliver(self) -> None:
        """Tell what is due, as far as Redis is there; what it did not take stays due."""
        while self._due:
            session = self._due[0]
            try:
                await self._office.fence(session)
            except (StoreError, PermitError):
                return
            except Exception:  # a defect must not take the workers with it; it stays due
                log.exception("worker_not_fenced", session=session)
                return
            self._due.popleft()
            self._told.append((asyncio.get_running_loop().time(), session))
            log.info("worker_fenced", session=session)
            if session in self._left:
                self._left.pop(session).forget()
            while self._told[0][0] < self._told[-1][0] - REPEATED_S:
                self._told.popleft()
