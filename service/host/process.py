"""One worker process, seen from the supervisor."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Callable

import structlog

from service.edge.context import State
from service.host.channel import Channel, Message
from service.host.folder import Traces
from service.host.plan import Plan, python
from service.host.tallies import VARIABLE, forget_gauges

SILENT_S = 5.0  # as long as a permit session's lease: no stopped worker outlives its permits
START_S = 30.0  # imports on a busy machine, before the first beat
TICK_S = 0.5
ENDING_S = 1.5  # after the drain: close frames (1 s), the application's own end

log = structlog.get_logger("parley.supervisor")


class WorkerProcess:
    """Started by ``start``, it ends with ``ended``; ``session`` is new for every process.

    ``failure`` is the line of a worker that could not start, "" where there was none. ``decided``:
    it has been ready, or it is ``gone``.
    """

    def __init__(self, name: str, session: str, changed: Callable[[], None]) -> None:
        self.name = name
        self.session = session
        self.state: State = "starting"
        self.serving = False
        self.failure = ""
        self.started = asyncio.get_running_loop().time()
        self.wants_socket = asyncio.Event()
        self.decided = asyncio.Event()
        self.gone = asyncio.Event()
        self._changed = changed
        self._heard = False
        self._silent_s = 0.0
        self._tallies: str | None = None
        self._channel: Channel
        self._process: asyncio.subprocess.Process

    @classmethod
    async def start(
        cls, plan: Plan, slot: int, traces: Traces, changed: Callable[[], None]
    ) -> "WorkerProcess":
        self = cls(f"worker-{slot + 1}", secrets.token_hex(8), changed)
        ours, theirs = socket.socketpair()
        trace = traces.make(self.session)
        inherited = [theirs.fileno(), *([] if trace is None else [trace])]
        words = [
            *("--name", self.name, "--slot", str(slot), "--session", self.session),
            *("--control", str(theirs.fileno()), "--parent", str(os.getpid())),
            *("--application", plan.application, *(["--demo"] if plan.demo else [])),
        ]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *python("service.host.worker", *words),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=inherited,
                env=dict(plan.environ),
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            if trace is not None:
                os.close(trace)  # from now on the worker alone holds the lock
        self._channel = Channel(ours, self._said, lambda: None)
        self._tallies = plan.environ.get(VARIABLE)
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    def _said(self, message: Message, listening: socket.socket | None) -> None:
        self._heard = True
        self._silent_s = 0.0
        if "beat" in message:
            return
        if "wants" in message:
            self.wants_socket.set()
        self.serving = self.serving or "serving" in message
        self.state = message.get("state", self.state)
        self.failure = message.get("failed", self.failure)
        if self.state == "ready":
            self.decided.set()
        self._changed()

    def listen(self, listening: socket.socket) -> None:
        self._channel.say({"listen": True}, listening)

    def drain(self, within_s: float) -> None:
        self._channel.say({"drain": within_s})

    async def leave(self, within_s: float) -> None:
        """Have it drain; return when it is dead, by force where it takes longer."""
        self.drain(max(0.0, within_s - ENDING_S))
        try:
            async with asyncio.timeout(within_s):
                await self._process.wait()
        except TimeoutError:
            log.warning("worker_killed", name=self.name, pid=self.pid)
            self.kill()
            await self._process.wait()

    def bereave(self, session: str) -> None:
        """Tell it that another worker has died."""
        self._channel.say({"dead": session})

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def silence(self) -> None:
        """Return when it has been silent for too long. Our own pauses do not count."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        while self._silent_s < (SILENT_S if self._heard else START_S):
            await asyncio.sleep(TICK_S)
            now = loop.time()
            self._silent_s += min(now - before, 2 * TICK_S)
            before = now

    async def ended(self) -> None:
        """Wait until the process is gone, its sockets with it, and everything it said was heard."""
        await self._process.wait()
        self._channel.finish()
        forget_gauges(self._tallies, self.pid)
        self.decided.set()
        self.gone.set()
