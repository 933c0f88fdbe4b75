"""A worker slot: a place in the port's sharing, and one worker after the other that fills it.

The supervisor holds the slot's listening socket. When a worker dies the socket stays open, so
connections queue for the replacement, which asks for the socket once it is about to serve. A slot
that nobody has served for EMPTY_S is closed, so that the kernel sends customers to other slots; the
replacement then gets a fresh socket.
"""

import asyncio
import socket
from collections.abc import Callable

import structlog

from service.core.errors import SettingError
from service.host.folder import Traces
from service.host.plan import Plan
from service.host.port import Port
from service.host.process import WorkerProcess

EMPTY_S = 3.0  # who waits longer than this for a page does something else
STEADY_S = 10.0  # who served for so long starts with a clean record
PAUSES_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)  # after so many early deaths in a row; the last repeats
NOT_STARTED_S = 2.0  # what the system lacks may come back

log = structlog.get_logger("parley.supervisor")


class Slot:
    """``first`` has the first worker's outcome: None (it served) or the line that it failed with.

    ``buried`` is called with the session of each worker that has died.
    """

    def __init__(
        self,
        number: int,
        plan: Plan,
        port: Port,
        traces: Traces,
        *,
        changed: Callable[[], None],
        buried: Callable[[str], None],
    ) -> None:
        self.worker: WorkerProcess | None = None
        self.first: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._number = number
        self._plan = plan
        self._port = port
        self._traces = traces
        self._changed = changed
        self._buried = buried
        self._socket: socket.socket | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._early_deaths = 0

    async def run(self) -> None:
        """Keep a worker in the slot until cancelled; the worker then lives on, for `drain`."""
        while True:
            try:
                worker = await WorkerProcess.start(
                    self._plan, self._number, self._traces, self._noticed
                )
            except OSError as error:  # no process, descriptor or disk left: others live on
                log.error("worker_not_started", slot=self._number, why=str(error))
                await asyncio.sleep(NOT_STARTED_S)
                continue
            self.worker = worker
            log.info("worker_started", name=worker.name, pid=worker.pid, session=worker.session)
            await self._until_dead(worker)
            await asyncio.sleep(self._bury(worker))

    def _noticed(self) -> None:
        if self.worker is not None and self.worker.serving and not self.first.done():
            self.first.set_result(None)
        self._changed()

    async def _until_dead(self, worker: WorkerProcess) -> None:
        silence = asyncio.create_task(worker.silence())
        ended = asyncio.create_task(worker.ended())
        wants = asyncio.create_task(worker.wants_socket.wait())
        try:
            while not ended.done():
                waiting = {task for task in (silence, ended, wants) if not task.done()}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if wants.done() and worker.wants_socket.is_set():
                    worker.wants_socket.clear()
                    self._hand_over(worker)
                if silence.done() and not ended.done():
                    log.warning("worker_silent", name=worker.name, pid=worker.pid)
                    worker.kill()
                    await ended
        finally:
            for task in (silence, ended, wants):
                task.cancel()

    def _hand_over(self, worker: WorkerProcess) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        try:
            if self._socket is None:
                self._socket = self._port.open()
        except OSError as error:
            log.error("slot_not_opened", name=worker.name, error=str(error))
            worker.kill()
            return
        worker.listen(self._socket)

    def _bury(self, worker: WorkerProcess) -> float:
        """Note the death; the seconds to wait before the next one starts."""
        loop = asyncio.get_running_loop()
        lived_s = loop.time() - worker.started
        steady = worker.serving and lived_s >= STEADY_S
        self._early_deaths = 0 if steady else self._early_deaths + 1
        pause_s = PAUSES_S[min(max(self._early_deaths - 1, 0), len(PAUSES_S) - 1)]
        log.warning(
            "worker_died", name=worker.name, pid=worker.pid, status=worker.status,
            lived_s=round(lived_s, 1), next_in_s=pause_s, why=worker.failure or None,
        )  # fmt: skip
        self.worker = None
        if not self.first.done():
            self.first.set_result(worker.failure)
        if self._socket is not None and self._closing is None:
            self._closing = loop.call_later(EMPTY_S, self._close_socket)
        self._buried(worker.session)
        self._changed()
        return pause_s

    def _close_socket(self) -> None:
        self._closing = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            log.warning("slot_closed", slot=self._number, empty_s=EMPTY_S)

    def drain(self, within_s: float) -> None:
        """Close the slot, and have its worker stop."""
        if self._closing is not None:
            self._closing.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self.worker is not None:
            self.worker.drain(within_s)


async def first_outcomes(slots: list[Slot]) -> None:
    """Wait until every slot's first worker served or failed. Raises SettingError if all failed."""
    outcomes = await asyncio.gather(*(asyncio.shield(slot.first) for slot in slots))
    if all(outcome is not None for outcome in outcomes):
        lines = [outcome for outcome in outcomes if outcome]
        raise SettingError(lines[0]) if lines else WorkersDie()


class WorkersDie(RuntimeError):
    """All first workers died without a word: a defect, whose traceback they have printed."""
