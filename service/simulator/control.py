"""The test's side: statistics, received requests, switches. No part of the model's API.

`GET /stats` (also `/_stats`) shows counts. `GET /_requests?last=N` shows what the model received,
and `GET`/`POST /_control` the switches; these two answer only the machine itself, since they show
and change what a customer sees, and refuse what a web page could send (any `Origin`, a foreign
`Host`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.simulator.faults import FaultError, standing_fault
from service.simulator.options import OptionError, changed
from service.simulator.scripts import ScriptError, make_script
from service.simulator.state import Simulation

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
MAX_CONTROL_BYTES = 1024 * 1024


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


def _problem(status: int, text: str) -> Response:
    return _json({"error": text}, status)


def _is_local(request: Request) -> bool:
    if request.client is None or "origin" in request.headers:
        return False
    host = request.headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    try:
        local = ipaddress.ip_address(request.client.host.partition("%")[0])
    except ValueError:
        return False
    return local.is_loopback and name.lower() in _LOCAL_NAMES


def local_only(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """`endpoint`, answering only requests that this machine's own tools make."""

    async def guarded(request: Request) -> Response:
        if not _is_local(request):
            return _problem(403, "only from this machine, and not from a web page")
        return await endpoint(request)

    return guarded


class Control:
    """The endpoints of one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    async def stats(self, request: Request) -> Response:
        """Counts: concurrency now and at most, over-tier starts, outcomes, seconds."""
        return _json(self._simulation.snapshot())

    async def requests(self, request: Request) -> Response:
        """The newest requests as they were received, oldest first, without credentials."""
        last = request.query_params.get("last")
        if last is not None and not last.isdecimal():
            return _problem(400, f"last: {last!r} is not a whole number")
        return _json(self._simulation.stats.records(None if last is None else int(last)))

    async def show(self, request: Request) -> Response:
        """The switches as they are."""
        return _json(self._simulation.settings())

    async def change(self, request: Request) -> Response:
        """Change switches, all of the body's or none: `reset` first, then the others."""
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return _problem(415, "send application/json")
        body = await request.body()
        if len(body) > MAX_CONTROL_BYTES:
            return _problem(413, f"more than {MAX_CONTROL_BYTES} bytes")
        try:
            changes = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return _problem(400, f"no JSON: {error}")
        if not isinstance(changes, dict):
            return _problem(400, "send an object")
        try:
            self._apply(changes)
        except (OptionError, FaultError, ScriptError) as error:
            return _problem(400, str(error))
        return _json(self._simulation.settings())

    def _apply(self, changes: dict[str, Any]) -> None:
        simulation = self._simulation
        reset = changes.pop("reset", False)
        if not isinstance(reset, bool):
            raise OptionError(f"reset: {reset!r} is neither true nor false")
        lists = {name: changes.pop(name, None) for name in ("faults", "scripts")}
        for name, entries in lists.items():
            if entries is not None and not isinstance(entries, list):
                raise OptionError(f"{name}: {entries!r} is not a list")
        faults, scripts = lists["faults"], lists["scripts"]
        standing = None if faults is None else [standing_fault(entry) for entry in faults]
        prepared = None if scripts is None else [make_script(entry) for entry in scripts]
        base = simulation.initial if reset else simulation.options
        options = changed(base, changes)
        if reset:
            simulation.reset()
        simulation.change(options, standing, prepared)
