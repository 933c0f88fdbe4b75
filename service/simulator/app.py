"""The simulator as an ASGI application: a list of routes over one simulation."""

from __future__ import annotations

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.simulator.answers.lexicon import languages
from service.simulator.chat import ChatEndpoint
from service.simulator.control import Control, local_only
from service.simulator.errors import Refusal, error_body
from service.simulator.options import SimulatorOptions
from service.simulator.state import Simulation

_JSON = "application/json; charset=UTF-8"
MODEL_CREATED = 1744588800  # 2025-04-14, the date in the default model's name


def create_app(options: SimulatorOptions) -> Starlette:
    """The application; its state is `app.state.simulation`."""
    simulation = Simulation(options)
    languages()  # all files now, so that no first question waits for them
    control = Control(simulation)
    chat = ChatEndpoint(simulation)

    async def models(request: Request) -> Response:
        try:
            simulation.keys.account(request.headers.get("authorization"))
        except Refusal as refused:
            return Response(refused.body, refused.status, media_type=refused.content_type)
        entries = [
            {"id": name, "object": "model", "created": MODEL_CREATED, "owned_by": "z-ai"}
            for name in simulation.options.models
        ]
        return Response(orjson.dumps({"object": "list", "data": entries}), media_type=_JSON)

    async def unknown(request: Request, error: Exception) -> Response:
        return Response(error_body("1222", api=request.url.path), 404, media_type=_JSON)

    app = Starlette(
        routes=[
            Route("/_control", local_only(control.show), methods=["GET"]),
            Route("/_control", local_only(control.change), methods=["POST"]),
            Route("/_requests", local_only(control.requests), methods=["GET"]),
            Route("/_stats", control.stats, methods=["GET"]),
            Route("/stats", control.stats, methods=["GET"]),
            Route("/chat/completions", chat, methods=["POST"]),
            Route("/{base:path}/chat/completions", chat, methods=["POST"]),
            Route("/models", models, methods=["GET"]),
            Route("/{base:path}/models", models, methods=["GET"]),
        ],
        exception_handlers={404: unknown},
    )
    app.state.simulation = simulation
    return app
