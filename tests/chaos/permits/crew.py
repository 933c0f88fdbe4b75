"""The worker processes of one scenario, and their supervisor.

The supervisor is the product's in what it tells Redis (`Notices`, with the workers' trace files):
of each worker whose process has ended, and in a new epoch of those that live. Unlike the product's
it kills no silent worker, for what a stopped worker does when it comes back is what is looked at.
"""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import msgspec

from service.host.folder import Traces
from service.host.notices import Notices
from service.store.connection import Commands
from service.store.permit_office import PermitOffice
from tests.chaos.permits.orders import Account, Orders
from tests.chaos.permits.processes import ending_with_us, environment, paused, resumed
from tests.support.sources import ROOT

READY_S = 30.0  # imports on a busy machine
LOG = "workers.log"
ENDED_S = 10.0  # from the word "drain" to the account: the longest request, on a busy machine


class Worker:
    """One process. ``account`` is there once it was drained."""

    def __init__(self, orders: Orders, process: Process) -> None:
        self.session = orders.session
        self.process = process
        self.ready = asyncio.Event()
        self.account: asyncio.Task[Account | None] = asyncio.create_task(self._account())

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    def pause(self) -> None:
        paused(self.process.pid)

    def resume(self) -> None:
        resumed(self.process.pid)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def say(self, word: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + b"\n")

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def _account(self) -> Account | None:
        """None for a worker that ended without one."""
        assert self.process.stdout is not None
        if await self.process.stdout.readline():
            self.ready.set()
        line = await self.process.stdout.readline()
        return msgspec.json.decode(line, type=Account) if line else None


class Crew:
    """The workers, by place; what happens to their processes reaches the permits by itself."""

    def __init__(self, orders: Orders, notices: Notices, traces: Traces, log: IO[bytes]) -> None:
        self.workers: list[Worker] = []
        self.ended: list[Worker] = []
        self._orders = orders
        self._notices = notices
        self._traces = traces
        self._log = log
        self._watching: set[asyncio.Task[None]] = set()

    @property
    def living(self) -> list[str]:
        """The sessions whose processes have not ended."""
        return [worker.session for worker in self.workers if worker.alive]

    async def start(self, place: int) -> Worker:
        """A process for ``place``, the first one or its replacement."""
        generation = sum(w.session.startswith(f"w{place}-") for w in [*self.workers, *self.ended])
        session = f"w{place}-{generation}"
        orders = msgspec.structs.replace(self._orders, session=session)
        trace = self._traces.make(session)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.chaos.permits.worker"),
                msgspec.json.encode(orders).decode(),
                cwd=ROOT, env=environment(), stdin=PIPE, stdout=PIPE, stderr=self._log,
                preexec_fn=ending_with_us, pass_fds=() if trace is None else (trace,),
            )  # fmt: skip
        finally:
            if trace is not None:
                os.close(trace)  # from now on the worker alone holds the lock
        worker = Worker(orders, process)
        self.workers.append(worker)
        watching = asyncio.create_task(self._bury(worker))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)
        return worker

    async def _bury(self, worker: Worker) -> None:
        await worker.process.wait()
        self.workers.remove(worker)
        self.ended.append(worker)
        self._notices.dead(worker.session)

    async def up(self) -> None:
        """Until every worker's session is registered."""
        async with asyncio.timeout(READY_S):
            for worker in list(self.workers):
                await worker.ready.wait()

    def go(self) -> None:
        """All begin to ask."""
        for worker in self.workers:
            worker.say(b"go")

    async def replaced(self, worker: Worker) -> Worker:
        """Once its process has ended: another one in its place, that asks as soon as it can."""
        await worker.process.wait()
        replacement = await self.start(int(worker.session[1:].partition("-")[0]))
        replacement.say(b"go")
        return replacement

    async def drain(self) -> list[Account]:
        """No further requests; what runs is read to its end. The accounts of who lives."""
        workers = list(self.workers)
        for worker in workers:
            worker.say(b"drain")
        async with asyncio.timeout(ENDED_S):
            accounts = [await asyncio.shield(worker.account) for worker in workers]
        return [account for account in accounts if account is not None]

    async def leave(self) -> None:
        """All workers end in good order."""
        for worker in list(self.workers):
            worker.close()
        async with asyncio.timeout(ENDED_S):
            while self._watching:
                await asyncio.wait(set(self._watching))

    async def close(self) -> None:
        """Whatever they do: nothing of them is left."""
        for worker in list(self.workers):
            worker.kill()
        for worker in [*self.workers, *self.ended]:
            await worker.process.wait()
            worker.account.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)


@asynccontextmanager
async def employed(
    orders: Orders, office: PermitOffice, commands: Commands, folder: Path
) -> AsyncIterator[Crew]:
    """A crew without workers yet, and its notices under way. ``folder`` gets what they log."""
    traces = Traces(folder, f"{orders.url} {office.keys}")
    notices = Notices(commands, office, traces, living=lambda: crew.living)
    log = (folder / LOG).open("ab")
    crew = Crew(orders, notices, traces, log)
    telling = asyncio.create_task(notices.run())
    try:
        yield crew
    finally:
        await crew.close()
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        log.close()
