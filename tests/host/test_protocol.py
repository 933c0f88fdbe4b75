"""What uvicorn's protocol is given beside its own: an end for peers that do not read."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
from uvicorn.server import ServerState

from service.host import protocol
from service.host.worker import build_config

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
PING = b"\x89\x80\0\0\0\0"
MUCH = "x" * (1 << 20)


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(protocol, "GONE_S", 0.2)


class Application:
    """Sends until the peer takes no more, and then closes; ``ended`` is set once it could."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def __call__(self, scope, receive, send) -> None:
        await send({"type": "websocket.accept"})
        with pytest.raises(TimeoutError):
            while True:
                async with asyncio.timeout(0.2):
                    await send({"type": "websocket.send", "text": MUCH})
        try:
            await send({"type": "websocket.close", "code": 4410})
        finally:
            self.ended.set()


@asynccontextmanager
async def served(application):
    config, state = build_config(application), ServerState()
    listening = await asyncio.get_running_loop().create_server(
        lambda: config.ws_protocol_class(config=config, server_state=state, app_state={}),
        "127.0.0.1",
    )
    async with listening:
        yield listening.sockets[0].getsockname()


async def test_a_peer_that_reads_nothing_cannot_keep_its_connection(soon, eventually):
    application = Application()
    async with served(application) as address:
        with socket.create_connection(address) as deaf:
            deaf.sendall(HANDSHAKE)

            def is_cut() -> bool:
                try:
                    deaf.sendall(PING)
                except ConnectionError:
                    return True
                return False

            await eventually(is_cut)
            assert application.ended.is_set(), "and nobody waits for it any more"
