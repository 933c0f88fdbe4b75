"""The sample shop's routes: pages in four languages, drawings, a stylesheet.

The shop is a customer of Parley like any other: its pages know one script tag. Visited under
`shop.localhost` it takes the widget from `127.0.0.1`, so that everything a foreign origin may not
do is refused in the demo too; its Content-Security-Policy allows exactly what Parley asks of a
shop, one origin in `script-src` and in `frame-src`.
"""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from service.demo import pages
from service.demo.frame import VERSION, Visit
from service.demo.goods import COLOURS, FILES, GOODS, LANGUAGES, Good
from service.settings import Settings

FOREIGN_HOST = "shop.localhost"
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", FOREIGN_HOST)
KEPT_S = 86_400  # how long browsers keep files: their addresses carry a version
_HOST = re.compile(r"([a-z0-9.-]+)(:[0-9]{1,5})?")
_PAINT = re.compile(r'color="#[0-9a-f]{6}"')

Draw = Callable[[Visit, Request], Response]
Endpoint = Callable[[Request], Awaitable[Response]]  # async: nothing here is worth a thread


def routes(settings: Settings) -> list[Route]:
    """All routes of the shop. None of them begins with /v1, /widget, /panel or /desk."""
    shown: tuple[tuple[str, Draw], ...] = (
        ("/", _home),
        ("/products/{slug}", _product),
        ("/policies", lambda visit, _: _page(visit, pages.rules(visit))),
        ("/about", lambda visit, _: _page(visit, pages.about(visit))),
        ("/basket", _basket),
    )
    return [
        Route("/shop/shop.css", _stylesheet),
        Route("/shop/art/{name}.svg", _art),
        *(
            Route(_prefix(language) + path, _endpoint(draw, language, settings))
            for language in LANGUAGES
            for path, draw in shown
        ),
    ]


def _prefix(language: str) -> str:
    return "" if language == LANGUAGES[0] else f"/{language}"


def _endpoint(draw: Draw, language: str, settings: Settings) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        name, port = _host(request)
        visit = Visit(
            language=language,
            page=request.url.path.removeprefix(_prefix(language)),
            parley=(settings.origin or f"http://127.0.0.1{port}") if name == FOREIGN_HOST else "",
            port=port if name in LOOPBACK_HOSTS else None,
        )
        return draw(visit, request)

    return endpoint


def _host(request: Request) -> tuple[str, str]:
    """The Host header's name and ":port"; both "" where it is no such thing."""
    found = _HOST.fullmatch(request.headers.get("host", "").lower())
    return (found[1], found[2] or "") if found else ("", "")


# -- pages ----------------------------------------------------------------------------------


def _home(visit: Visit, _: Request) -> Response:
    return _page(visit, pages.home(visit))


def _product(visit: Visit, request: Request) -> Response:
    good = GOODS.get(request.path_params["slug"])
    if good is None:
        return _page(visit, pages.lost(visit), status=404)
    return _page(visit, pages.product(visit, good, _colour(request, good)))


def _basket(visit: Visit, request: Request) -> Response:
    good = GOODS.get(request.query_params.get("item", ""))
    if good is None:
        return _page(visit, pages.basket(visit, None, "", ""))
    size = request.query_params.get("size", "")
    chosen = size if size in good.sizes else ""
    return _page(visit, pages.basket(visit, good, _colour(request, good), chosen))


def _colour(request: Request, good: Good) -> str:
    wanted = request.query_params.get("colour", "")
    return wanted if wanted in good.colours else good.colours[0]


def _page(visit: Visit, html: str, status: int = 200) -> Response:
    parley = visit.parley or "'self'"
    policy = (
        f"default-src 'none'; script-src {parley}; frame-src {parley}; style-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(html, status, headers)


# -- files ----------------------------------------------------------------------------------


async def _stylesheet(_: Request) -> Response:
    return _file(_STYLES.encode(), "text/css; charset=utf-8")


async def _art(request: Request) -> Response:
    """A drawing as it stands, or "<slug>-<colour>", or a "colour-<colour>" swatch."""
    name = request.path_params["name"]
    if name in _DRAWINGS:
        return _file(_DRAWINGS[name].encode(), "image/svg+xml")
    subject, _, colour = name.rpartition("-")
    if colour in COLOURS and (subject in GOODS or subject == "colour"):
        painted = _PAINT.sub(f'color="{COLOURS[colour].hex}"', _DRAWINGS[subject], count=1)
        return _file(painted.encode(), "image/svg+xml")
    return Response(status_code=404)


def _file(content: bytes, kind: str) -> Response:
    headers = {
        "Cache-Control": f"public, max-age={KEPT_S}",
        "Content-Security-Policy": "default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=kind, headers=headers)


_STYLES = (FILES / "shop.css").read_text("utf-8").replace(".svg)", f".svg?v={VERSION})")
_DRAWINGS = {
    entry.name.removesuffix(".svg"): entry.read_text("utf-8") for entry in (FILES / "art").iterdir()
}
