"""What balancers, platforms and Prometheus ask a worker."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from service.edge import metrics

TEXT_FORMAT = "text/plain; version=0.0.4"


def health(ready: Callable[[], bool]) -> list[Route]:
    """`/healthz`: the loop runs. `/readyz`: this worker would take a new customer. `/metrics`."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        if ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", status_code=503)

    async def exposition(request: Request) -> Response:
        return Response(metrics.exposition(), media_type=TEXT_FORMAT)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", exposition),
    ]
