"""The customers' socket, `/v1/ws`: hello, then commands in and frames out.

Three tasks a socket: one reads and hands commands on, so that a slow command never keeps a close
from being seen; one does the commands, in order; one sends. The first that ends, ends the socket.
"""

import asyncio
from typing import Any

import msgspec
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from service.core import commands, languages, wire
from service.core.errors import (
    BadFrame,
    BadToken,
    CommandRefused,
    ConversationGone,
    NoHello,
    Shed,
    SocketRefused,
    StoreError,
    Unavailable,
    VersionUnsupported,
)
from service.core.model import Position
from service.core.texts import text as words
from service.edge import addresses, metrics, origins
from service.edge.context import WorkerContext
from service.edge.sockets import Socket, Sockets
from service.flows.customer import Customer, CustomerCommands
from service.flows.feed import Feeds
from service.flows.ports import Reader
from service.store.connection import until_first
from service.store.sessions import Sessions

HELLO_S = 5.0  # a client that says nothing for so long is none
WAITING = 64  # commands read ahead; the reader pauses beyond, and TCP slows the sender down
RETRY_MS = 1000  # while Redis is away: it is usually back within a second or two

EVERY_LANGUAGE = tuple(languages.LANGUAGES)

log = structlog.get_logger("parley.customers")


class CustomerSockets:
    """Serves customers' sockets."""

    def __init__(
        self,
        context: WorkerContext,
        *,
        sessions: Sessions,
        reader: Reader,
        feeds: Feeds,
        customers: CustomerCommands,
        sockets: Sockets,
    ) -> None:
        self._context = context
        self._settings = context.settings
        self._sessions = sessions
        self._reader = reader
        self._feeds = feeds
        self._customers = customers
        self._sockets = sockets
        self._origins = {o for site in context.sites.values() for o in site.origins}

    async def serve(self, websocket: WebSocket) -> None:
        """The endpoint. A refusal before the handshake is HTTP 403."""
        if not self._welcome_origin(websocket):
            metrics.refusals.labels("origin_refused").inc()
            await websocket.close()
            return
        offered = websocket.scope.get("subprotocols", [])
        await websocket.accept(wire.SUBPROTOCOL if wire.SUBPROTOCOL in offered else None)
        address = self._address(websocket)
        try:
            if offered and wire.SUBPROTOCOL not in offered:
                raise VersionUnsupported(f"this server speaks {wire.SUBPROTOCOL}")
            self._sockets.enter(address)
            try:
                await self._converse(websocket, address)
            finally:
                self._sockets.leave(address)
        except SocketRefused as error:
            metrics.refusals.labels(error.code).inc()
            await _close(websocket, error)
        except WebSocketDisconnect:
            return

    def _welcome_origin(self, websocket: WebSocket) -> bool:
        origin = websocket.headers.get("origin")
        own = origins.is_own(
            origin, host=websocket.headers.get("host"), declared=self._settings.origin
        )
        return own or origins.allowed(origin, self._origins)

    def _address(self, websocket: WebSocket) -> str:
        return addresses.customer_address(
            websocket.client.host if websocket.client else None,
            websocket.headers.getlist("x-forwarded-for"),
            self._settings.trusted_proxies,
        )

    # -- hello ----------------------------------------------------------------------------

    async def _converse(self, websocket: WebSocket, address: str) -> None:
        hello, rest = await self._hello(websocket)
        customer = await self._recognise(websocket, hello, address)
        try:
            async with self._feeds.use(customer.conversation) as feed:
                socket = Socket(websocket, customer.conversation, feed)
                feed.followers.add(socket.follower)
                try:
                    await self._attach(socket, customer, commands.position(hello.pos))
                    self._sockets.add(socket)
                    await self._serve(websocket, socket, customer, rest)
                finally:
                    self._sockets.remove(socket)
                    feed.followers.discard(socket.follower)
        except ConversationGone as error:
            raise BadToken("its conversation is no more") from error
        except StoreError as error:
            await self._say_unavailable(websocket, customer.locale)
            raise Shed("Redis is away") from error

    async def _hello(self, websocket: WebSocket) -> tuple[commands.Hello, list[dict[str, Any]]]:
        """The first frame, and what stood behind it in the same message."""
        try:
            async with asyncio.timeout(HELLO_S):
                frames = await self._receive(websocket)
        except TimeoutError as error:
            raise NoHello(f"nothing within {HELLO_S:g} s") from error
        if frames[0].get("type") != "hello":
            raise NoHello("the first frame must be hello")
        _check_version(frames[0].get("v"))
        try:
            hello = commands.command(frames[0])
        except CommandRefused as error:
            raise NoHello(f"a hello that is none: {error}") from error
        assert isinstance(hello, commands.Hello)
        return hello, frames[1:]

    async def _recognise(
        self, websocket: WebSocket, hello: commands.Hello, address: str
    ) -> Customer:
        locale = languages.match(hello.locale, EVERY_LANGUAGE, "en")
        try:
            bearer = await self._sessions.check(hello.token)
        except StoreError as error:
            await self._say_unavailable(websocket, locale)
            raise Shed("Redis is away") from error
        site = self._context.sites.get(bearer.site)
        if site is None:
            raise BadToken("its site is no more")
        origin = websocket.headers.get("origin")
        own = origins.is_own(
            origin, host=websocket.headers.get("host"), declared=self._settings.origin
        )
        if not own and not origins.allowed(origin, site.origins):
            raise BadToken("a token of another site")
        return Customer(bearer.conversation, site, address, locale)

    async def _attach(self, socket: Socket, customer: Customer, position: Position | None) -> None:
        attached = await self._reader.attach(customer.conversation, position)
        socket.attach(
            attached,
            {
                "message_units": self._customers.limits.units(customer.site),
                "frame_bytes": self._settings.frame_bytes,
                "messages_per_minute": self._customers.limits.a_minute(customer.site),
            },
        )
        if attached.turn is not None:
            await self._feeds.ask(customer.conversation)
        if self._context.draining.is_set():
            socket.say(wire.goaway(0, "deploy"))

    # -- the three tasks --------------------------------------------------------------------

    async def _serve(
        self,
        websocket: WebSocket,
        socket: Socket,
        customer: Customer,
        first: list[dict[str, Any]],
    ) -> None:
        waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WAITING)
        await until_first(
            self._read(websocket, waiting, first),
            self._do(socket, customer, waiting),
            socket.send(lambda position: self._attach(socket, customer, position)),
        )

    async def _read(
        self,
        websocket: WebSocket,
        waiting: "asyncio.Queue[dict[str, Any]]",
        first: list[dict[str, Any]],
    ) -> None:
        frames = first
        while True:
            for frame in frames:
                await waiting.put(frame)
            frames = await self._receive(websocket)

    async def _receive(self, websocket: WebSocket) -> list[dict[str, Any]]:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        text = message.get("text")
        if text is None:
            raise BadFrame("binary")
        return commands.parse(text, most_bytes=self._settings.frame_bytes)

    async def _do(
        self, socket: Socket, customer: Customer, waiting: "asyncio.Queue[dict[str, Any]]"
    ) -> None:
        while True:
            await socket.room()
            customer = await self._one(socket, customer, await waiting.get())

    async def _one(self, socket: Socket, customer: Customer, frame: dict[str, Any]) -> Customer:
        """Do one command; what is wrong with it is told, and the next one is taken.

        Returns the customer, who may have said hello in another language.
        """
        named = frame.get("id")
        ref = named if isinstance(named, str) and len(named) <= 64 else None
        try:
            command = commands.command(frame)
            if isinstance(command, commands.Hello):
                _check_version(command.v)
                locale = languages.match(command.locale, EVERY_LANGUAGE, customer.locale)
                customer = msgspec.structs.replace(customer, locale=locale)
                await self._attach(socket, customer, commands.position(command.pos))
                return customer
            replies = await self._customers.do(customer, socket.feed, command)
            socket.say(*replies)
            if isinstance(command, commands.SendMessage) and b'"duplicate":false' in replies[0]:
                metrics.messages.labels(customer.site.key).inc()
        except CommandRefused as error:
            socket.say(_told(error, customer.locale, ref))
        except ConversationGone:
            raise
        except StoreError:
            socket.say(_told(Unavailable(retry_ms=RETRY_MS), customer.locale, ref))
        return customer

    async def _say_unavailable(self, websocket: WebSocket, locale: str) -> None:
        frame = _told(Unavailable(retry_ms=RETRY_MS), locale, None)
        await websocket.send_text(frame.decode())


def _check_version(version: object) -> None:
    if version != wire.VERSION:
        raise VersionUnsupported(f"this server speaks version {wire.VERSION}")


def _told(error: CommandRefused, locale: str, ref: str | None) -> bytes:
    metrics.refusals.labels(error.code).inc()
    return wire.error(
        error.code,
        words(error.code, locale, **error.values),
        fatal=error.fatal,
        retry_ms=error.retry_ms,
        ref=ref,
    )


async def _close(websocket: WebSocket, error: SocketRefused) -> None:
    try:
        await websocket.close(error.close_code, error.code)
    except (RuntimeError, WebSocketDisconnect):
        return  # it is closed already
