"""The ASGI application of one worker: the one place that knows all parts and joins them."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from service.clients.model import GlmModel
from service.core.errors import StoreUnavailable
from service.edge import metrics
from service.edge.assets import Assets, PanelRoute
from service.edge.context import WorkerContext
from service.edge.customers import CustomerSockets
from service.edge.drain import Drain
from service.edge.health import health
from service.edge.pause_watch import PauseWatch
from service.edge.permit_watch import PermitWatch
from service.edge.sessions import SessionRoute
from service.edge.sockets import Sockets
from service.flows.asking import Asking
from service.flows.context import Context
from service.flows.customer import CustomerCommands, Limits
from service.flows.feed import Feeds
from service.flows.takeover import Takeover
from service.flows.turn import Turns
from service.store import keys
from service.store.channels import Channels
from service.store.connection import Commands
from service.store.log import Log, library
from service.store.permit_office import PermitOffice, account_name
from service.store.permit_steps import Timing
from service.store.permits import RedisPermits
from service.store.sessions import Sessions
from service.store.subscriber import Subscriber

log = structlog.get_logger("parley.app")

MEET_S = 2.0  # a Redis that is there answers within milliseconds
LOOK_S = 0.25  # between looks at the readiness


class Worker:
    """The parts of one worker, from start to drain."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self.assets = Assets()
        self.ready = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open everything, run the background, and end it all in the reverse order."""
        async with AsyncExitStack() as stack:
            feeds, model = await self._open(stack)
            self._wire(feeds, model)
            async with asyncio.TaskGroup() as background:
                parts = {
                    "renew leases": self.turns.hold(),
                    "adopt": self.takeover.run(),
                    "heartbeats": self.sockets.beat(),
                    "permits": self.permits.run(),
                    "permit watch": PermitWatch(self.permits, speaks=self.context.slot == 0).run(),
                    "pause watch": PauseWatch(self.sockets).run(),
                    "readiness": self._watch(),
                    "drain": self._drain(),
                }
                tasks = [background.create_task(self._keep(*part)) for part in parts.items()]
                yield
                for task in tasks:
                    task.cancel()

    async def _open(self, stack: AsyncExitStack) -> tuple[Feeds, GlmModel]:
        """The connections to Redis and to the model."""
        session, settings = self.context.session, self.context.settings
        assert settings.redis_url is not None
        url, name = settings.redis_url, f"parley-{self.context.name}"
        self.commands = await stack.enter_async_context(Commands.open(url, name=name))
        self.log = Log(self.commands, session=session, functions=library())
        self.subscriber = await stack.enter_async_context(
            Subscriber.open(url, name=f"{name}-subscriber", missed=lambda: feeds.missed())
        )
        feeds = Feeds(self.log, Channels(self.commands, self.subscriber, session=session))
        office = PermitOffice(
            self.commands,
            account=account_name(settings.model_url, settings.api_key),
            model=settings.model,
            timing=Timing(linger_s=settings.abort_linger_s, release_s=settings.release_linger_s),
        )
        self.permits = await stack.enter_async_context(
            RedisPermits.join(office, url, session=session, tier=settings.tier)
        )
        self.permits.observe(
            wait=lambda priority, s: metrics.permit_waits.labels(priority).observe(s)
        )
        model = await stack.enter_async_context(
            GlmModel.open(settings.model_url, settings.api_key, settings.model, settings.tier)
        )
        await self._meet_redis()
        return feeds, model

    async def _meet_redis(self) -> None:
        """Wait a moment for Redis before the first customer comes; for one that is away, no more.

        Customers who waited in a dead worker's queue are there as soon as the socket is.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(MEET_S):
                await self.commands.wait_up()
                await self.subscriber.wait_up()

    def _wire(self, feeds: Feeds, model: GlmModel) -> None:
        context, settings = self.context, self.context.settings
        sessions = Sessions(self.commands, self.log, days=settings.session_days)
        self._wire_turns(feeds, model)
        self.sockets = Sockets(
            a_customer=settings.sockets_per_customer, an_address=settings.sockets_per_address
        )
        commands = CustomerCommands(
            self.log,
            feeds,
            self.turns,
            Limits(settings.message_units, settings.messages_per_minute),
        )
        self.customers = CustomerSockets(
            context,
            sessions=sessions,
            reader=self.log,
            feeds=feeds,
            customers=commands,
            sockets=self.sockets,
        )
        self.session_route = SessionRoute(settings, context.sites, sessions)

    def _wire_turns(self, feeds: Feeds, model: GlmModel) -> None:
        context, settings = self.context, self.context.settings
        telling = Context(
            self.log,
            context_tokens=settings.context_tokens,
            answer_tokens=settings.answer_tokens,
        )
        asking = Asking(
            permits=self.permits,
            model=model,
            context=telling,
            queue_wait_s=settings.queue_wait_s,
            user_id=self._user_id,
        )
        self.turns = Turns(log=self.log, feeds=feeds, asking=asking, context=telling)
        self.turns.ended = lambda reason: metrics.answers.labels(reason).inc()
        self.takeover = Takeover(
            self.log,
            self.turns,
            feeds,
            context.sites,
            partitions=keys.PARTITIONS,
            willing=self.willing,
        )
        context.bereaved = self.takeover.bereave

    def willing(self) -> bool:
        """Whether new work is taken on."""
        return not self.context.draining.is_set()

    def _user_id(self, conversation: str) -> str:
        """What the provider may know a customer by: enough to block one, nothing to trace."""
        key = (self.context.settings.api_key).encode()
        return hmac.new(key, conversation.encode(), hashlib.sha256).hexdigest()[:32]

    # -- readiness and drain --------------------------------------------------------------

    async def _watch(self) -> None:
        """Tell the supervisor whether this worker would take a new customer."""
        loaded, reconnects, adopted = "", 0, 0
        while True:
            if self.commands.up and loaded != self.commands.run_id:
                loaded = await self._load()
            ready = self._is_ready(loaded)
            if ready != self.ready and self.willing():
                self.context.tell("ready" if ready else "unready")
            self.ready = ready
            metrics.ready.set(ready)
            metrics.turns.set(len(self.turns))
            metrics.redis_reconnects.inc(self.commands.reconnects - reconnects)
            metrics.adoptions.inc(self.takeover.adopted - adopted)
            reconnects, adopted = self.commands.reconnects, self.takeover.adopted
            await asyncio.sleep(LOOK_S)

    async def _load(self) -> str:
        """Load the functions. The server's run id; "" where it takes none for now: it is full, or
        a replica, or gone again.
        """
        with suppress(StoreUnavailable):
            await self.commands.wait_up()
            await self.log.load()
            return self.commands.run_id
        return ""

    def _is_ready(self, loaded: str) -> bool:
        return (
            self.commands.up
            and self.subscriber.up
            and loaded == self.commands.run_id
            and self.permits.registered
            and self.willing()
        )

    async def _keep(self, name: str, part: Coroutine[Any, Any, None]) -> None:
        """Run a part that the worker cannot do without: where it fails, the process ends.

        A worker that lost half of itself would go on taking customers and serve none. A fence
        notice ends it here too: its permits are given away, so its requests must not go on.
        """
        try:
            await part
        except Exception:
            log.critical("worker broke", part=name, exc_info=True)
            self.context.quit()
            raise

    async def _drain(self) -> None:
        await self.context.draining.wait()
        self.ready = False
        await Drain(self.sockets, self.turns, by=self.context.drain_by).run()
        self.context.drained.set()


def create_app(context: WorkerContext) -> Starlette:
    """The application for ``context``. Raises SettingError where the widget was never built."""
    worker = Worker(context)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with worker.running():
            yield

    app = Starlette(routes=_routes(worker), lifespan=lifespan)
    app.state.worker = worker
    return app


def _routes(worker: Worker) -> list[BaseRoute]:
    context, assets = worker.context, worker.assets

    async def sockets(websocket: WebSocket) -> None:
        await worker.customers.serve(websocket)

    async def sessions(request: Request) -> Response:
        return await worker.session_route(request)

    panel = PanelRoute(assets, context.settings, context.sites)
    routes: list[BaseRoute] = [
        Route("/v1/sessions", sessions, methods=["POST", "OPTIONS"]),
        WebSocketRoute("/v1/ws", sockets),
        Route("/widget.js", assets.loader),
        Route("/panel", panel.__call__),
        Route("/assets/{name}", assets.asset),
        *health(lambda: worker.ready),
    ]
    if context.demo:
        from service.demo.shop import routes as shop

        routes.extend(shop(context.settings))
    return routes
