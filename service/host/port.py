"""The port, shared by the worker slots: one SO_REUSEPORT socket each.

The kernel spreads new connections over the listening sockets of a port, each with a queue of its
own. (One socket shared by all workers gives most connections to who is quickest to accept.)
The supervisor keeps every slot's socket, so the queue of a dead worker waits for the next one.

SO_REUSEPORT lets any process of the same account join in, also a second Parley that was started by
mistake and would silently get half the customers. So the port is asked for without it first, and
then held by a guard: a socket that never listens, and that fails the next one's question.
"""

import contextlib
import errno
import socket
from typing import Any

from service.core.errors import SettingError

BACKLOG = 2048  # connections that wait while a dead worker is replaced
NEAR = 20  # ports above the wanted one that are tried for the message's working line


class Port:
    """The address that all slots of this supervisor listen on."""

    def __init__(self, guard: socket.socket, family: int, address: tuple[Any, ...]) -> None:
        self._guard = guard
        self._family = family
        self._address = address
        self.number: int = address[1]

    @classmethod
    def take(cls, host: str, port: int, command: str) -> "Port":
        """Take ``port`` of ``host`` (0: any free one). Raises SettingError with a working line."""
        family, address = _resolved(host, port)
        try:
            with _socket(family, address, reuse_address=True) as probe:
                address = probe.getsockname()
            guard = _socket(family, address, reuse_port=True)
        except OSError as error:
            raise _refused(error, host, family, address, command) from error
        return cls(guard, family, guard.getsockname())

    def open(self) -> socket.socket:
        """A socket for one slot; whoever serves it calls listen."""
        return _socket(self._family, self._address, reuse_address=True, reuse_port=True)

    def close(self) -> None:
        self._guard.close()


def _socket(
    family: int, address: tuple[Any, ...], *, reuse_address: bool = False, reuse_port: bool = False
) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if reuse_address:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:  # `::` means everybody, as it does elsewhere
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited: deltas are small
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def _resolved(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise SettingError(
            f"PARLEY_HOST={host}: no such address; 127.0.0.1 is this machine, 0.0.0.0 everybody"
        ) from error
    # `localhost` is both; the address that other programs mean by it is the older one.
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, address


def _refused(
    error: OSError, host: str, family: int, address: tuple[Any, ...], command: str
) -> SettingError:
    port = address[1]
    if error.errno == errno.EADDRINUSE:
        free = _free_near(family, address)
        return SettingError(f"PORT={port} is in use on {host}: try `PORT={free} parley {command}`")
    if error.errno == errno.EACCES:
        return SettingError(
            f"PORT={port}: the system wants an administrator for ports below 1024: "
            f"try `PORT=8000 parley {command}`"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return SettingError(
            f"PARLEY_HOST={host}: no address of this machine: "
            f"try `PARLEY_HOST=127.0.0.1 parley {command}`"
        )
    return SettingError(f"PARLEY_HOST={host}, PORT={port}: {error.strerror or error}")


def _free_near(family: int, address: tuple[Any, ...]) -> int:
    for port in range(address[1] + 1, min(address[1] + 1 + NEAR, 65_536)):
        with contextlib.suppress(OSError):
            _socket(family, (address[0], port, *address[2:]), reuse_address=True).close()
            return port
    return 0  # PORT=0 takes any
