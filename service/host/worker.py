"""One worker process: uvicorn on a socket that the supervisor sends.

    python -m service.host.worker --name worker-1 --slot 0 --session ID --control FD --parent PID

The settings come from the environment. The process is in a session of its own, so Ctrl-C in a
terminal reaches the supervisor alone; it drains when the supervisor (or SIGTERM) says so, and is
gone at once when the supervisor is (end of the channel; on Linux the kernel kills it as well, which
also works on a stopped process).

uvicorn's own end closes every socket at the same moment, and only then tells the application. So
the first SIGTERM is taken from it: the application drains first, and uvicorn ends when it has.
"""

import argparse
import asyncio
import contextlib
import gc
import importlib
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import structlog
import uvicorn
import uvloop

from service.core.errors import SettingError, StoreUnsuitable
from service.edge.context import State, WorkerContext
from service.host import logs
from service.host.channel import BEAT_S, Channel, Message, say_once
from service.host.port import BACKLOG
from service.host.protocol import CustomersProtocol
from service.host.tether import die_with_parent
from service.settings import load
from service.sites import load_sites

APPLICATION = "service.edge.app:create_app"
FAILED = 2  # exit status: cannot start, and has said why
ORPHANED = 3  # exit status: the supervisor is gone
BROKEN = 4  # exit status: a part failed that it cannot do without, or a fence notice names it
# The library's own cap on one message, far above any frame limit: it closes 1009.
WS_BYTES = 65_536
CLOSE_S = 1  # a close frame waits so long for its answer
LIFESPAN_S = 2.0  # for the application's own end, after the last socket
KEEP_ALIVE_S = 75  # longer than proxies keep idle connections (60 s): they close first, no race
OPEN_FILES = 65_536  # a socket each; the usual soft limit of 1,024 would end it at 1,000 customers

log = structlog.get_logger("parley.worker")
Asgi = Callable[..., Awaitable[None]]


class Link:
    """The worker's end of the channel, from before the application is made."""

    def __init__(self, end: socket.socket) -> None:
        self.listening: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
        # Until the server runs there is nothing to drain, and nobody to keep waiting.
        self.drain: Callable[[float], None] = _exit_at_once
        self.bereave: Callable[[str], None] = lambda session: None
        self._channel = Channel(end, self._told, lambda: os._exit(ORPHANED))

    def say(self, message: Message) -> None:
        self._channel.say(message)

    def tell(self, state: State) -> None:
        self._channel.say({"state": state})

    async def beat(self) -> None:
        while True:
            self._channel.say({"beat": True})
            await asyncio.sleep(BEAT_S)

    def _told(self, message: Message, listening: socket.socket | None) -> None:
        if listening is not None and not self.listening.done():
            self.listening.set_result(listening)
        elif "drain" in message:
            self.drain(float(message["drain"]))
        elif "dead" in message:
            self.bereave(str(message["dead"]))


def _exit_at_once(within_s: float) -> None:
    os._exit(0)


class Server(uvicorn.Server):
    """uvicorn, serving the slot's socket, ending in the order that customers need."""

    def __init__(self, config: uvicorn.Config, context: WorkerContext, link: Link) -> None:
        super().__init__(config)
        self._context = context
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # The first beat after the imports: until then a busy machine may be slow.
        self._tasks.append(asyncio.create_task(self._link.beat(), name="heartbeat"))
        # Asked for as late as possible: what waits in a dead worker's queue is served at once.
        self._link.say({"wants": "socket"})
        await super().startup([await self._link.listening])
        self._link.drain = self._drain
        self._link.bereave = lambda session: self._context.bereaved(session)
        gc.collect()
        gc.freeze()  # the imports live for ever: no collection needs to look at them again
        self._link.say({"serving": True})

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._context.draining.is_set():
            self.should_exit = self.force_exit = True
        else:
            self._loop.call_soon_threadsafe(self._link.drain, self._context.settings.drain_s)

    def _drain(self, within_s: float) -> None:
        first = not self._context.draining.is_set()
        self._context.drain(within_s)
        if first:
            self._link.tell("draining")
            log.info("draining", within_s=round(within_s, 1))
            for server in self.servers:
                server.close()  # new customers reach another worker
            self._tasks.append(asyncio.create_task(self._end(), name="drain"))

    async def _end(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._context.drain_by - time.monotonic())):
                await self._context.drained.wait()
        self.should_exit = True
        _end_anyway(CLOSE_S + LIFESPAN_S)


def _end_anyway(after_s: float) -> None:
    """A thread of its own, so that not even a blocked event loop keeps the process alive."""
    timer = threading.Timer(after_s, os._exit, (0,))
    timer.daemon = True
    timer.start()


class Lifespan:
    """Keeps the one line of an application that cannot start; only defects leave a traceback."""

    def __init__(self, application: Asgi) -> None:
        self._application = application
        self.failure = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return

        async def said(message: Any) -> None:
            if message["type"] != "lifespan.startup.failed":
                await send(message)

        try:
            await self._application(scope, receive, said)
        except (SettingError, StoreUnsuitable) as error:
            self.failure = str(error)
            await send({"type": "lifespan.startup.failed", "message": ""})


def build_config(application: Asgi) -> uvicorn.Config:
    """How uvicorn serves; each value is one that the customers' sockets depend on."""
    config = uvicorn.Config(
        application,
        http="httptools",
        ws=CustomersProtocol,
        ws_per_message_deflate=False,  # 35 KiB of memory a socket, for texts of a few bytes
        ws_max_size=WS_BYTES,
        ws_ping_interval=None,  # heartbeats are frames: a browser's page cannot see a ping
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # the edge believes only PARLEY_TRUSTED_PROXIES
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=CLOSE_S,
        workers=1,  # else uvicorn reads WEB_CONCURRENCY
    )
    config.load()
    return config


def build_context(arguments: argparse.Namespace, link: Link) -> WorkerContext:
    settings = load(os.environ)
    if settings.sites is None:
        raise SettingError(
            "PARLEY_SITES is not set: a worker needs the file that declares the shops"
        )
    return WorkerContext(
        settings=settings,
        sites=load_sites(settings.sites, frame_bytes=settings.frame_bytes),
        session=arguments.session,
        name=arguments.name,
        slot=arguments.slot,
        demo=arguments.demo,
        tell=link.tell,
        quit=lambda: os._exit(BROKEN),
    )


async def serve(arguments: argparse.Namespace, control: socket.socket) -> int:
    """Run the worker; its exit status."""
    link = Link(control)
    context = build_context(arguments, link)
    module, _, function = arguments.application.partition(":")
    lifespan = Lifespan(getattr(importlib.import_module(module), function)(context))
    server = Server(build_config(lifespan), context, link)
    try:
        await server.serve()
    except SystemExit:
        if not lifespan.failure:
            raise
    if lifespan.failure:
        link.say({"failed": lifespan.failure})
        return FAILED
    return 0


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="parley worker", description="Started by the supervisor.")
    parser.add_argument("--name", required=True)
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--session", required=True)
    parser.add_argument("--control", type=int, required=True, help="the channel's descriptor")
    parser.add_argument("--parent", type=int, required=True, help="the supervisor's process id")
    parser.add_argument("--application", default=APPLICATION, help="module:function")
    parser.add_argument("--demo", action="store_true")
    return parser.parse_args(words)


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    arguments = _arguments(sys.argv[1:])
    die_with_parent(arguments.parent, signal.SIGKILL)
    _allow_open_files()
    control = socket.socket(fileno=arguments.control)
    control.set_inheritable(False)
    try:
        settings = load(os.environ)
        logs.set_up(settings.log_level, settings.log_format, worker=arguments.name)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            status = runner.run(serve(arguments, control))
    except SettingError as error:
        say_once(control, {"failed": str(error)})
        status = FAILED
    sys.exit(status)


if __name__ == "__main__":
    main()
