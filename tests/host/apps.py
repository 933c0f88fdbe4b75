"""Applications that a worker runs in the tests of the processes around it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from service.core.errors import StoreUnsuitable
from service.edge.context import WorkerContext
from tests.support.eventually import eventually


def orderly(worker: WorkerContext) -> Starlette:
    """Says who it is, drains at once when told to, and can be made to hang."""

    async def who(request: Request) -> Response:
        return JSONResponse(
            {"name": worker.name, "session": worker.session, "pid": os.getpid(),
             "sites": sorted(worker.sites), "demo": worker.demo}
        )  # fmt: skip

    async def hang(request: Request) -> Response:
        while True:  # the loop itself, not a coroutine on it
            pass

    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except WebSocketDisconnect:
            return

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async def drain() -> None:
            await worker.draining.wait()
            worker.drained.set()

        task = asyncio.create_task(drain())
        worker.tell("ready")
        yield
        task.cancel()

    async def readyz(request: Request) -> Response:
        return Response("ready")

    routes = [
        Route("/", who),
        Route("/readyz", readyz),
        Route("/hang", hang),
        WebSocketRoute("/ws", socket),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def lingering(worker: WorkerContext) -> Starlette:
    """Is ready, and drained, only while nothing forbids it: files named `unready` and `busy` in
    the folder of the sites file. Where there is one named `broken` it cannot start at all.
    """
    assert worker.settings.sites is not None
    folder = worker.settings.sites.parent
    if (folder / "broken").exists():
        raise RuntimeError("a bug of the new version")

    async def who(request: Request) -> Response:
        return JSONResponse({"name": worker.name, "pid": os.getpid()})

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async def live() -> None:
            await _absent(folder / "unready")
            worker.tell("ready")
            await worker.draining.wait()
            await _absent(folder / "busy")
            worker.drained.set()

        task = asyncio.create_task(live())
        yield
        task.cancel()

    return Starlette(routes=[Route("/", who)], lifespan=lifespan)


async def _absent(path: Path) -> None:
    await eventually(lambda: not path.exists(), within=60)


def stubborn(worker: WorkerContext) -> Starlette:
    """Never drains, and never ends its lifespan either."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        worker.tell("ready")
        yield
        await asyncio.Event().wait()

    return Starlette(lifespan=lifespan)


def unsuitable(worker: WorkerContext) -> Starlette:
    """Finds at its start that it can never run."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise StoreUnsuitable("redis 6.0 is too old")
        yield

    return Starlette(lifespan=lifespan)


def crashing(worker: WorkerContext) -> Starlette:
    """Is broken: dies at its start without a word to the supervisor."""
    raise RuntimeError("a bug of ours")
