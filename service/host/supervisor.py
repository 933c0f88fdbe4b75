"""The parent of the workers: starts, watches, restarts and ends all processes of one command.

Order of the start: companions (Valkey, simulator), Redis looked at, fence notices for what a killed
predecessor left, workers. Order of the end: slots closed and workers drained, notices, simulator,
Valkey last, all within ``Plan.stop_s``; a second signal ends everything at once. However this
process ends, nothing of it is left: workers end with their channel, companions with their parent.

Between the two, SIGHUP has the workers replaced one by one (`roll.py`), where the plan says so.
"""

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

import structlog

from service.core.errors import SettingError, StoreUnsuitable
from service.host.addresses import shown
from service.host.cards import Cards
from service.host.companion import Companion
from service.host.folder import Traces
from service.host.notices import Notices, permit_office
from service.host.plan import Plan
from service.host.port import Port
from service.host.process import ENDING_S, WorkerProcess
from service.host.roll import Roll, Terminal
from service.host.slot import Slot, WorkersDie, first_outcomes
from service.host.tallies import tallies
from service.store.connection import Commands, make_connection

STOPPING = (signal.SIGINT, signal.SIGTERM)
READY_S = 5.0  # from the first connection; with Redis there it takes half a second
MEET_S = 2.5  # a Redis that is there answers within milliseconds
RESERVE_S = 2.0  # after the workers: notices, simulator, Valkey
NOTICES_S = 0.3
COMPANION_S = 1.0
HURRIED_S = 0.3  # a second signal leaves Valkey so long to write its log
RESTART_S = (0.0, 0.5, 2.0, 5.0)  # before a companion starts again; the last repeats
STEADY_S = 10.0

log = structlog.get_logger("parley.supervisor")


class Supervisor:
    """One command's processes. ``up`` is called once, when the workers serve (`ready` or not)."""

    def __init__(
        self,
        plan: Plan,
        port: Port,
        companions: Sequence[Companion],
        *,
        up: Callable[["Supervisor"], None],
    ) -> None:
        assert plan.settings.redis_url is not None, "decided before"
        self.plan = plan
        self.port = port
        self._redis_url: str = plan.settings.redis_url
        self._companions = companions
        self._up = up
        self._slots: list[Slot] = []
        self._roll = Roll(lambda: self._slots, drain_s=plan.settings.drain_s)
        self._terminal = Terminal()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._changed = asyncio.Event()
        self._connections = AsyncExitStack()
        self._notices: Notices | None = None
        self._cards: Cards | None = None

    @property
    def workers(self) -> list[WorkerProcess]:
        """All that live; while a slot is rolled it has two."""
        return [worker for slot in self._slots for worker in slot.living]

    @property
    def ready(self) -> bool:
        """Whether every slot has a worker that would take a customer."""
        workers = [slot.worker for slot in self._slots]
        return all(worker is not None and worker.state == "ready" for worker in workers)

    async def run(self) -> int:
        """Until a signal; the command's exit status. Raises SettingError where it cannot start."""
        self._listen_to_signals()
        environ = self._connections.enter_context(tallies(self.plan.settings.data))
        self.plan = replace(self.plan, environ={**self.plan.environ, **environ})
        work = asyncio.create_task(self._work(), name="supervisor")
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, stop):
                task.cancel()
            await asyncio.wait({work, stop})
            await self._end()
        if not work.cancelled() and (error := work.exception()) is not None:
            error = _single(error)
            if not isinstance(error, WorkersDie):
                raise error
            print(
                "parley: the workers die at their start; the lines above say why", file=sys.stderr
            )
            return 1
        return 1 if self._hurry.is_set() else 0

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        # A SIGINT that is ignored at the start says nothing: shells do so for what a script starts
        # in the background, and who sends one means it. But nohup wants to be left alone.
        for number in STOPPING:
            loop.add_signal_handler(number, self._signalled)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGHUP, self._hung_up)

    def _signalled(self) -> None:
        (self._hurry if self._stop.is_set() else self._stop).set()

    def _hung_up(self) -> None:
        if self._stop.is_set():
            return  # a terminal that closes says so twice
        if not self.plan.rolls or self._terminal.closed:
            self._stop.set()
        else:
            self._roll.ask()

    # -- start and watch ----------------------------------------------------------------

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            for companion in self._companions:
                group.create_task(companion.start())
        commands = await self._connections.enter_async_context(
            Commands.open(self._redis_url, name="parley-supervisor")
        )
        await self._meet(commands)
        settings = self.plan.settings
        office = permit_office(commands, settings)
        traces = Traces(settings.data, f"{self._redis_url} {office.keys}")
        if not traces.kept:
            log.warning(
                "no_traces", folder=str(settings.data),
                effect="after a kill -9 of everything, permits come back at their deadlines",
            )  # fmt: skip
        self._notices = notices = Notices(
            commands, office, traces, living=lambda: [w.session for w in self.workers]
        )
        self._cards = cards = Cards(commands, lambda: self.workers)
        notices.left_by_predecessor()
        self._slots = [
            Slot(number, self.plan, self.port, traces, changed=self._noticed, buried=self._buried)
            for number in range(settings.workers)
        ]
        async with asyncio.TaskGroup() as group:
            group.create_task(notices.run())
            group.create_task(cards.run())
            for companion in self._companions:
                group.create_task(self._keep(companion))
            for slot in self._slots:
                group.create_task(slot.run())
            await first_outcomes(self._slots)
            await self._until_ready()
            with suppress(OSError):  # the terminal that it tells may have closed
                self._up(self)
            group.create_task(self._roll.run())

    async def _until_ready(self) -> None:
        """Until every worker would take customers, or it is clear that this takes longer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                while not self.ready:
                    await self._changed.wait()
                    self._changed.clear()

    def _buried(self, session: str) -> None:
        """A worker has died: the permits and its siblings are told at once."""
        if self._notices is not None:
            self._notices.dead(session)
        for worker in self.workers:
            worker.bereave(session)

    def _noticed(self) -> None:
        self._changed.set()
        if self._cards is not None:
            self._cards.changed()

    async def _meet(self, commands: Commands) -> None:
        """Look at Redis once. One that can never do ends the start; one that is away does not."""
        try:
            async with asyncio.timeout(MEET_S):
                await commands.wait_up()
        except StoreUnsuitable as error:
            raise SettingError(f"PARLEY_REDIS_URL={shown(self._redis_url)}: {error}") from error
        except TimeoutError:
            reason = await _why_away(self._redis_url)
            print(
                f"parley: Redis at {shown(self._redis_url)} does not answer ({reason}); workers "
                f"keep trying, and /readyz says 503 until it does",
                file=sys.stderr, flush=True,
            )  # fmt: skip

    async def _keep(self, companion: Companion) -> None:
        loop = asyncio.get_running_loop()
        early = 0
        while True:
            started = loop.time()
            status = await companion.died()
            early = 0 if loop.time() - started > STEADY_S else early + 1
            pause_s = RESTART_S[min(early, len(RESTART_S) - 1)]
            log.error("companion_died", name=companion.name, status=status, next_in_s=pause_s)
            await asyncio.sleep(pause_s)
            try:
                await companion.start()
            except SettingError as error:
                log.error("companion_not_started", name=companion.name, why=str(error))
            else:
                log.warning("companion_restarted", name=companion.name)

    # -- the end ------------------------------------------------------------------------

    async def _end(self) -> None:
        loop = asyncio.get_running_loop()
        stop_s = self.plan.stop_s
        by = loop.time() + stop_s
        workers_s = stop_s - min(RESERVE_S, stop_s * 0.4)
        self.port.close()
        for slot in self._slots:
            slot.drain(max(0.0, workers_s - ENDING_S))
        await self._end_workers(workers_s)
        if self._notices is not None and self._cards is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(NOTICES_S):
                    await self._notices.deliver()
                    await self._cards.write()
        await self._connections.aclose()
        for companion in reversed(self._companions):
            left = max(HURRIED_S, min(COMPANION_S, by - loop.time()))
            await companion.stop(HURRIED_S if self._hurry.is_set() else left)

    async def _end_workers(self, within_s: float) -> None:
        workers = self.workers
        ended = asyncio.create_task(_all_ended(workers))
        hurry = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({ended, hurry}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        for worker in workers:
            if worker.status is None:
                log.warning("worker_killed", name=worker.name, pid=worker.pid)
                worker.kill()
        await ended
        for slot in self._slots:
            slot.forget()
        if self._notices is not None:
            for worker in workers:
                self._notices.dead(worker.session)


async def _all_ended(workers: Sequence[WorkerProcess]) -> None:
    await asyncio.gather(*(worker.ended() for worker in workers))


def _single(error: BaseException) -> BaseException:
    """The one error in a group of one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


async def _why_away(url: str) -> str:
    """What an attempt to connect says. A refused password is a wrong setting: SettingError."""
    connection = make_connection(url, name="parley-supervisor")
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
    except Exception as error:  # the library's own types are met in store/ only
        if "Authentication" in type(error.__cause__ or error).__name__:
            raise SettingError(
                f"PARLEY_REDIS_URL={shown(url)}: Redis refuses the name or the password: {error}"
            ) from error
        return str(error)
    finally:
        with suppress(Exception):
            await connection.disconnect(nowait=True)
    return "it is still loading its data, or slow"
