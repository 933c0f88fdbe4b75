"""`POST /v1/sessions`: a token for a site's customer, from an allowed origin."""

import re
import time
from collections.abc import Mapping

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response

from service.core.errors import (
    BadRequest,
    OriginRefused,
    RequestRefused,
    ServiceUnavailable,
    SiteUnknown,
    StoreError,
)
from service.core.model import Site
from service.edge import origins
from service.edge.addresses import customer_address
from service.edge.problems import problem
from service.edge.rates import Rates
from service.settings import Settings
from service.store.sessions import Sessions

DAY_S = 86_400
MOST_BYTES = 4096  # a site's key and a handle are far below
HANDLE = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")


class Wanted(msgspec.Struct, frozen=True):
    """The request's body."""

    site: str
    resume: str | None = None


class SessionRoute:
    """The endpoint, and the CORS answers that pages of a site's own need."""

    def __init__(self, settings: Settings, sites: Mapping[str, Site], sessions: Sessions) -> None:
        self._settings = settings
        self._sites = sites
        self._sessions = sessions
        self._rates = Rates(settings.sessions_per_minute)
        self._origins = {origin for site in sites.values() for origin in site.origins}

    async def __call__(self, request: Request) -> Response:
        origin = request.headers.get("origin")
        headers = {"vary": "origin"}
        if origins.allowed(origin, self._origins) and origin is not None:
            headers["access-control-allow-origin"] = origin
        if request.method == "OPTIONS":
            headers["access-control-allow-methods"] = "POST"
            headers["access-control-allow-headers"] = "content-type"
            headers["access-control-max-age"] = "600"
            return Response(status_code=204, headers=headers)
        try:
            return await self._start(request, origin, headers)
        except RequestRefused as error:
            return problem(error, headers)
        except StoreError:
            return problem(ServiceUnavailable("Redis is away; try again"), headers)

    async def _start(
        self, request: Request, origin: str | None, headers: dict[str, str]
    ) -> Response:
        wanted = await _read(request)
        own = origins.is_own(
            origin, host=request.headers.get("host"), declared=self._settings.origin
        )
        site = self._sites.get(wanted.site)
        if site is None:
            raise SiteUnknown(f"no site {wanted.site[:40]!r}; sites.toml declares them")
        if not own and not origins.allowed(origin, site.origins):
            raise OriginRefused(f"the site does not list the origin {str(origin)[:100]!r}")
        resume = wanted.resume if wanted.resume and HANDLE.match(wanted.resume) else None
        self._rates.take(self._address(request), time.monotonic())
        session = await self._sessions.start(
            site.key,
            resume=resume,
            retention_s=DAY_S * (site.limits.retention_days or self._settings.retention_days),
        )
        return Response(
            orjson.dumps(msgspec.to_builtins(session)),
            media_type="application/json",
            headers={"cache-control": "no-store", **headers},
        )

    def _address(self, request: Request) -> str:
        return customer_address(
            request.client.host if request.client else None,
            request.headers.getlist("x-forwarded-for"),
            self._settings.trusted_proxies,
        )


async def _read(request: Request) -> Wanted:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise BadRequest(f"above {MOST_BYTES} bytes")
    try:
        return msgspec.convert(orjson.loads(body), Wanted)
    except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
        raise BadRequest(f'wants {{"site": KEY, "resume": HANDLE?}}: {error}') from error
