"""uvicorn's WebSocket protocol, with an end for peers that do not read."""

from asyncio import Transport
from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

GONE_S = 5.0  # after a close: time for what is on its way, and for the peer's own close frame


class CustomersProtocol(WebSocketsSansIOProtocol):
    """Cuts the connection of a peer that takes neither the last frames nor the close frame.

    uvicorn writes a close frame only once the peer has read enough of what came before, and then
    closes the transport only once it has read it all. A peer that reads nothing would keep its
    connection, its buffers and its task for as long as it likes.
    """

    transport: Transport

    async def send(self, message: "ASGISendEvent") -> None:
        if message["type"] == "websocket.close":
            self.loop.call_later(GONE_S, self.transport.abort)
        await super().send(message)
