"""The widget's built files: `/widget.js`, `/panel` and `/assets/…`, served from memory.

The build puts hashed and precompressed files beside a manifest. A hashed file never changes, so
browsers may keep it for ever; the loader and the panel's page are asked for again after minutes.
"""

import gzip
import html
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from service.core.errors import SettingError
from service.core.languages import match
from service.core.model import Site
from service.edge.origins import frame_ancestors
from service.settings import Settings

FOR_EVER = "public, max-age=31536000, immutable"
KEY_UNITS = 64  # of a key that is only repeated in the page
FOR_MINUTES = "public, max-age=300, stale-while-revalidate=86400"


class File(msgspec.Struct, frozen=True):
    """A built file and its smaller forms, by content coding."""

    type: str
    plain: bytes
    coded: dict[str, bytes]


class Assets:
    """All built files. Raises SettingError where the widget was never built."""

    def __init__(self) -> None:
        folder = resources.files("service.edge").joinpath("assets")
        try:
            manifest = msgspec.json.decode(folder.joinpath("manifest.json").read_bytes())
        except OSError as error:
            raise SettingError(
                "the widget is not built: run `make widget`, or install Parley from its wheel"
            ) from error
        self._files = {
            name: _read(folder, name, about["type"]) for name, about in manifest["files"].items()
        }
        self._loader = self._files.get(manifest["loader"]["file"]) or _read(
            folder, manifest["loader"]["file"], "text/javascript"
        )
        self._panels = {
            locale: folder.joinpath(about["html"]).read_text("utf-8")
            for locale, about in manifest["panel"].items()
        }

    async def loader(self, request: Request) -> Response:
        return _serve(request, self._loader, FOR_MINUTES)

    async def asset(self, request: Request) -> Response:
        file = self._files.get(request.path_params["name"])
        if file is None:
            return Response("no such file", status_code=404, media_type="text/plain")
        return _serve(request, file, FOR_EVER)

    def panel(self, locale: str, values: Mapping[str, str]) -> str:
        """The panel's page in the nearest built locale, its placeholders filled."""
        page = self._panels[match(locale, list(self._panels), "en")]
        for name, value in values.items():
            page = page.replace("{{" + name + "}}", html.escape(value, quote=True))
        return page


class PanelRoute:
    """`/panel?site=KEY&locale=…`: the page that the loader frames."""

    def __init__(self, assets: Assets, settings: Settings, sites: Mapping[str, Site]) -> None:
        self._assets = assets
        self._settings = settings
        self._sites = sites

    async def __call__(self, request: Request) -> Response:
        """The page. For a site that is not declared it says so, in the customer's language."""
        key = request.query_params.get("site", "")[:KEY_UNITS]
        site = self._sites.get(key)
        locale = request.query_params.get("locale") or _preferred(request)
        values = {
            "site": key,
            "site_name": site.name if site else "",
            "contact": site.contact if site else "",
        }
        page = self._assets.panel(locale, values).encode()
        small = "gzip" in _codings(request)
        return Response(
            _zipped(page) if small else page,
            status_code=200 if site else 404,
            media_type="text/html",
            headers={
                **({"content-encoding": "gzip"} if small else {}),
                "content-security-policy": self._policy(request, site),
                "cache-control": FOR_MINUTES if site else "no-store",
                "vary": "accept-language, accept-encoding, host",
                "referrer-policy": "no-referrer",
                "x-content-type-options": "nosniff",
                "cross-origin-resource-policy": "cross-origin",
                "cross-origin-embedder-policy": "require-corp",
            },
        )

    def _policy(self, request: Request, site: Site | None) -> str:
        host = request.headers.get("host", "")
        if self._settings.origin is not None:
            host = self._settings.origin.partition("://")[2]
        sockets = f"ws://{host} wss://{host}" if _is_host(host) else ""
        return "; ".join(
            (
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                f"connect-src 'self' {sockets}".rstrip(),
                "img-src 'self'",
                "font-src 'none'",
                "base-uri 'none'",
                "form-action 'none'",
                f"frame-ancestors 'self' {frame_ancestors(site)}" if site else "frame-ancestors *",
                "require-trusted-types-for 'script'",
                "trusted-types 'none'",
            )
        )


def _is_host(host: str) -> bool:
    return bool(host) and all(c.isalnum() or c in ".-:[]" for c in host)


def _preferred(request: Request) -> str:
    """The first language of Accept-Language, which browsers order by preference."""
    return request.headers.get("accept-language", "en").partition(",")[0].partition(";")[0]


def _read(folder: Traversable, name: str, kind: str) -> File:
    coded = {}
    for coding, ending in (("br", ".br"), ("gzip", ".gz")):
        smaller = folder.joinpath(name + ending)
        if smaller.is_file():
            coded[coding] = smaller.read_bytes()
    return File(kind, folder.joinpath(name).read_bytes(), coded)


def _codings(request: Request) -> set[str]:
    accepted = request.headers.get("accept-encoding", "")
    return {part.partition(";")[0].strip() for part in accepted.split(",")}


@lru_cache(maxsize=256)  # pages: a few for each site, and some for sites that are none
def _zipped(page: bytes) -> bytes:
    return gzip.compress(page, mtime=0)


def _serve(request: Request, file: File, caching: str) -> Response:
    codings = _codings(request)
    body, headers = file.plain, {}
    for coding, smaller in file.coded.items():
        if coding in codings:
            body, headers["content-encoding"] = smaller, coding
            break
    return Response(
        body,
        media_type=file.type,
        headers={
            **headers,
            "cache-control": caching,
            "vary": "accept-encoding",
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "cross-origin",
            "access-control-allow-origin": "*",
        },
    )
