"""Runs the simulator on its own event loop until it is told to stop.

It stops at once: on SIGTERM and SIGINT, and at the end of file of the pipe that its parent holds
(`parent_fd`), so that no simulator outlives the process that started it. Streams under way are cut,
as a model that goes away would cut them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator

import uvicorn
import uvloop

from service.simulator.app import create_app
from service.simulator.connection import Connection
from service.simulator.options import SimulatorOptions

BACKLOG = 4096  # a burst of connections must not be refused by the kernel


class ServeError(Exception):
    """It cannot start; the text is one line for the terminal."""


class _Server(uvicorn.Server):
    """A server that leaves signals to us and says when it listens."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            print(f"simulator listening on http://{shown}:{port}", flush=True)


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address; `ServeError` says what to do instead."""
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, where = address[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServeError(
            f"cannot listen on {host}:{port} ({reason}); "
            f"a free port: parley simulate --host {host} --port 0"
        ) from error
    return listener


def _check_parent(descriptor: int) -> None:
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError as error:
        raise ServeError(f"--parent-fd {descriptor} is not an open descriptor") from error
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        raise ServeError(f"--parent-fd {descriptor} is neither a pipe nor a socket")


async def _serve(options: SimulatorOptions, listener: socket.socket) -> None:
    config = uvicorn.Config(
        create_app(options),
        http=Connection,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",  # cut connections are this server's trade, not errors
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=75,  # seconds; nginx's default, which the real endpoint runs behind
        timeout_graceful_shutdown=0,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        server.should_exit = True

    def parent_spoke(descriptor: int) -> None:
        try:
            gone = not os.read(descriptor, 4096)
        except OSError:
            gone = True
        if gone:
            loop.remove_reader(descriptor)
            stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if options.parent_fd is not None:
        loop.add_reader(options.parent_fd, parent_spoke, options.parent_fd)
    await server.serve(sockets=[listener])


def run(options: SimulatorOptions) -> None:
    """Serve until stopped. Prints `simulator listening on URL` once it accepts connections.

    Raises `ServeError` if it cannot start.
    """
    if options.parent_fd is not None:
        _check_parent(options.parent_fd)
    listener = bind(options.host, options.port)
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(options, listener))
    sys.stdout.flush()
