"""What the supervisor and a worker say to each other: one JSON object a line on a socket pair.

    worker      {"beat": true}                 every BEAT_S, from its event loop: it is not stuck
                {"wants": "socket"}            it is about to serve; the listening socket, please
                {"serving": true}              it accepts connections
                {"state": "ready"}             a State of edge/context.py
                {"failed": "one line"}         it cannot start, and why; it exits
    supervisor  {"listen": true}               with the listening socket as ancillary data
                {"drain": 28.5}                stop, within so many seconds
                {"dead": "5f0c..."}            the worker of this session has died

The end of the channel is a message as well: the peer is gone. A worker exits at once, so that
nothing outlives a killed supervisor; the supervisor waits for the process to be reaped.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any

BEAT_S = 0.5  # a worker silent for ten of them is killed
READ_BYTES = 65_536
LINE_BYTES = 65_536  # a peer that says more in one line is broken, and as good as gone
FDS = 1  # file descriptors that may come with one read

Message = dict[str, Any]


class Channel:
    """One end. ``said`` is called with each message and, where one came with it, a socket."""

    def __init__(
        self,
        end: socket.socket,
        said: Callable[[Message, socket.socket | None], None],
        gone: Callable[[], None],
    ) -> None:
        end.setblocking(False)
        self._end = end
        self._said = said
        self._gone = gone
        self._text = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(end.fileno(), self._readable)
        self._open = True

    def say(self, message: Message, listening: socket.socket | None = None) -> None:
        """Send now or not at all: a peer that has stopped reading is dealt with elsewhere."""
        if not self._open:
            return
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            if listening is None:
                self._end.send(line)
            else:
                socket.send_fds(self._end, [line], [listening.fileno()])

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._end.fileno())
            self._end.close()

    def finish(self) -> None:
        """Hear what a dead peer has still said, then close."""
        while self._open:
            try:
                self._hear()
            except BlockingIOError:
                self.close()

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            self._hear()

    def _hear(self) -> None:
        try:
            read, fds, _, _ = socket.recv_fds(self._end, READ_BYTES, FDS)
        except (BlockingIOError, InterruptedError):
            raise
        except OSError:
            read, fds = b"", []
        came = [_kept(fd) for fd in fds]
        self._text += read
        *lines, self._text = self._text.split(b"\n")
        for line in lines:
            self._said(json.loads(line), came.pop(0) if came else None)
        if not read or len(self._text) > LINE_BYTES:
            self.close()
            self._gone()


def _kept(fd: int) -> socket.socket:
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)


def say_once(end: socket.socket, message: Message) -> None:
    """Say one thing without an event loop, for a process that never gets as far as one."""
    with contextlib.suppress(OSError):
        end.sendall(json.dumps(message).encode() + b"\n")
