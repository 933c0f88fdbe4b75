"""The server's side of a connection, and when a write to it cannot proceed.

A write is blocked when the reader's kernel takes no more, but two buffers on our side hide that:
uvicorn goes on writing until 64 KiB wait in the transport, and our kernel takes up to megabytes
that the reader's has no room for. For requests that can stall (`write_stall`) both are taken away:
nothing may wait in the transport, and nothing unsent in the kernel. What is left is the reader's
own receive buffer, which no server sees into: some 64 KiB on Linux, about 300 model tokens of a
stream, more for a connection over which much was read fast. A shorter answer never stalls, here as
with any endpoint behind TCP.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_EXTENSION = "parley.buffers"


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, with buffers that the application can take away."""

    def on_message_begin(self) -> None:
        """A request begins: its scope knows how to take them away."""
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: {"remove": self._remove_buffers}}

    def _remove_buffers(self) -> None:
        self.transport.set_write_buffer_limits(high=0)
        kernel = self.transport.get_extra_info("socket")
        kernel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 1)  # byte


def remove_buffers(scope: Mapping[str, Any]) -> None:
    """From now on the connection of `scope` does not hide that its reader does not read."""
    scope["extensions"][_EXTENSION]["remove"]()
