"""A worker slot: a place in the port's sharing, and the workers that serve it in turn.

The supervisor holds the slot's listening socket. When a worker dies the socket stays open, so
connections queue for the replacement, which asks for the socket once it is about to serve. A slot
that nobody has served for EMPTY_S is closed, so that the kernel sends customers to other slots; the
replacement then gets a fresh socket.

A worker that is *replaced* leaves in the other order: the new one serves the same socket beside it,
and only then the old one drains. So a slot may have several workers at once: the one in its place,
one that is to take the place as soon as it is ready, and those that are leaving.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

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
        self.number = number
        self.worker: WorkerProcess | None = None  # the one in the slot's place
        self.first: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._coming: WorkerProcess | None = None
        self._leaving: list[WorkerProcess] = []
        self._plan = plan
        self._port = port
        self._traces = traces
        self._changed = changed
        self._buried = buried
        self._socket: socket.socket | None = None
        self._closing: asyncio.TimerHandle | None = None
        self._early_deaths = 0
        self._pause_s = 0.0  # before the next worker starts
        self._vacant = asyncio.Event()
        self._vacant.set()
        self._starting = asyncio.Lock()
        self._watches: asyncio.TaskGroup

    @property
    def living(self) -> list[WorkerProcess]:
        """Every process of this slot, the one in its place first."""
        return [w for w in (self.worker, self._coming, *self._leaving) if w is not None]

    async def run(self) -> None:
        """Keep a worker in the slot until cancelled; the processes then live on, for `drain`."""
        async with asyncio.TaskGroup() as self._watches:
            while True:
                await self._vacant.wait()
                await asyncio.sleep(self._pause_s)
                await self._fill()

    async def _fill(self) -> None:
        async with self._starting:
            if self.worker is None:
                try:
                    self.worker = await self._start()
                except OSError as error:  # no process, descriptor or disk left: others live on
                    log.error("worker_not_started", slot=self.number, why=str(error))
                    self._pause_s = NOT_STARTED_S
                    return
            self._vacant.clear()

    async def _start(self) -> WorkerProcess:
        worker = await WorkerProcess.start(self._plan, self.number, self._traces, self._noticed)
        log.info("worker_started", name=worker.name, pid=worker.pid, session=worker.session)
        self._watches.create_task(self._watch(worker))
        return worker

    def _noticed(self) -> None:
        worker = self.worker
        if worker is not None:
            if worker.serving and not self.first.done():
                self.first.set_result(None)
            if worker.state == "draining":  # somebody told it to; its place is not kept for it
                self._leaving.append(worker)
                self._succeed(pause_s=0.0)
        self._changed()

    # -- a roll -----------------------------------------------------------------------------

    async def replace(self, *, ready_s: float, leave_s: float) -> str:
        """Put a fresh worker in the place of the one there is, which then drains.

        Returns "" when that one is gone, after ``leave_s`` by force. Where the fresh one cannot
        start, or is not ready within ``ready_s``, returns why; the one there is stays.
        """
        async with self._starting:
            if self.worker is None:
                return ""  # the next one is on its way already
            try:
                fresh = await self._start()
            except OSError as error:
                return str(error)
            if self.worker is None:  # it died meanwhile
                self.worker = fresh
                self._vacant.clear()
            else:
                self._coming = fresh
        why = await self._until_ready(fresh, ready_s)
        if fresh is self._coming:
            if why:
                fresh.kill()
                await fresh.gone.wait()
                return why
            await self._step_in(leave_s)
        return why

    async def _until_ready(self, fresh: WorkerProcess, ready_s: float) -> str:
        with suppress(TimeoutError):
            async with asyncio.timeout(ready_s):
                await fresh.decided.wait()
        if fresh.status is not None:
            return fresh.failure or f"it ended at its start, with status {fresh.status}"
        return "" if fresh.decided.is_set() else f"it was not ready within {ready_s:g} s"

    async def _step_in(self, leave_s: float) -> None:
        old = self.worker
        assert old is not None and self._coming is not None, "else it would be in the place"
        self._leaving.append(old)
        self._succeed(pause_s=0.0)
        await old.leave(leave_s)
        await old.gone.wait()

    # -- one worker's end ---------------------------------------------------------------------

    async def _watch(self, worker: WorkerProcess) -> None:
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
        self._bury(worker)

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

    def _bury(self, worker: WorkerProcess) -> None:
        lived_s = round(asyncio.get_running_loop().time() - worker.started, 1)
        if worker in self._leaving:
            self._leaving.remove(worker)
            log.info(
                "worker_left", name=worker.name, pid=worker.pid, status=worker.status,
                lived_s=lived_s,
            )  # fmt: skip
        elif worker is self._coming:
            self._coming = None  # who waits for it says why
        else:
            self._note_death(worker, lived_s)
        self._buried(worker.session)
        self._changed()

    def _note_death(self, worker: WorkerProcess, lived_s: float) -> None:
        steady = worker.serving and lived_s >= STEADY_S
        self._early_deaths = 0 if steady else self._early_deaths + 1
        pause_s = PAUSES_S[min(max(self._early_deaths - 1, 0), len(PAUSES_S) - 1)]
        log.warning(
            "worker_died", name=worker.name, pid=worker.pid, status=worker.status,
            lived_s=lived_s, next_in_s=pause_s, why=worker.failure or None,
        )  # fmt: skip
        if not self.first.done():
            self.first.set_result(worker.failure)
        self._succeed(pause_s=pause_s)

    def _succeed(self, *, pause_s: float) -> None:
        """The place is free: for who is coming, or else for one to be started after a pause."""
        self.worker, self._coming = self._coming, None
        if self.worker is None:
            self._pause_s = pause_s
            self._vacant.set()
        served = self.worker is not None and self.worker.serving
        if not served and self._socket is not None and self._closing is None:
            loop = asyncio.get_running_loop()
            self._closing = loop.call_later(EMPTY_S, self._close_socket)

    def _close_socket(self) -> None:
        self._closing = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            log.warning("slot_closed", slot=self.number, empty_s=EMPTY_S)

    # -- the slot's end -----------------------------------------------------------------------

    def drain(self, within_s: float) -> None:
        """Close the slot, and have its workers stop."""
        if self._closing is not None:
            self._closing.cancel()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for worker in self.living:
            worker.drain(within_s)

    def forget(self) -> None:
        """All its workers are dead, and nobody watches any more."""
        self.worker = self._coming = None
        self._leaving.clear()


async def first_outcomes(slots: list[Slot]) -> None:
    """Wait until every slot's first worker served or failed. Raises SettingError if all failed."""
    outcomes = await asyncio.gather(*(asyncio.shield(slot.first) for slot in slots))
    if all(outcome is not None for outcome in outcomes):
        lines = [outcome for outcome in outcomes if outcome]
        raise SettingError(lines[0]) if lines else WorkersDie()


class WorkersDie(RuntimeError):
    """All first workers died without a word: a defect, whose traceback they have printed."""
