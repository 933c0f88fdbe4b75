"""The model client's connections, with small buffers in the kernel.

A stopped worker's kernel goes on receiving until its buffer is full, and that grows to megabytes
for who reads fast. Small ones let a stopped reader hold its answer up after a few model tokens, as
the long answers of real life would after a few hundred.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp

from service.clients import transport
from tests.chaos.permits.terms import RECEIVE_BYTES


class SmallBuffers(transport.Transport):
    """The product's own transport but for the buffers."""

    def get_client(self) -> aiohttp.ClientSession:
        session = super().get_client()
        # aiohttp takes it as an argument of the connector, which the product makes without one.
        assert hasattr(session.connector, "_socket_factory"), "aiohttp names it otherwise now"
        session.connector._socket_factory = _small
        return session


def _small(address: Any) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    return made


@contextmanager
def small_buffers() -> Iterator[None]:
    """Within the block every new model client of this process has them."""
    usual = transport.Transport
    transport.Transport = SmallBuffers  # type: ignore[misc]
    try:
        yield
    finally:
        transport.Transport = usual  # type: ignore[misc]
