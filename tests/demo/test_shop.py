"""How the sample shop embeds Parley: from its own origin, and as a foreign one."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

import service.demo
from service.demo.goods import COLOURS, GOODS, SITE
from service.demo.shop import routes
from service.settings import load

FOLDER = Path(service.demo.__file__).parent
DRAWINGS = sorted(path.stem for path in (FOLDER / "art").glob("*.svg"))


async def fetch(
    url: str, environ: Mapping[str, str] | None = None, host: str | None = None
) -> httpx.Response:
    transport = httpx.ASGITransport(app=Starlette(routes=routes(load(environ or {}))))
    async with httpx.AsyncClient(transport=transport) as client:
        return await client.get(url, headers={"Host": host} if host is not None else {})


def widget(answer: httpx.Response) -> str:
    [found] = re.findall(r'<script async src="([^"]*)"', answer.text)
    return found


def policy(answer: httpx.Response) -> dict[str, str]:
    rules = answer.headers["content-security-policy"].split("; ")
    return dict(rule.split(" ", 1) for rule in rules)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "localhost", "10.0.0.7:80"])
async def test_on_parleys_own_origin_the_widget_is_the_pages_neighbour(host: str):
    answer = await fetch(f"http://{host}/")
    assert widget(answer) == "/widget.js"
    assert policy(answer)["script-src"] == policy(answer)["frame-src"] == "'self'"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("shop.localhost:8123", "http://127.0.0.1:8123"),
        ("SHOP.localhost:8123", "http://127.0.0.1:8123"),
        ("shop.localhost", "http://127.0.0.1"),
    ],
)
async def test_under_shop_localhost_the_widget_comes_from_a_foreign_origin(host: str, origin: str):
    for page in ("/", "/ar/products/fjell-parka", "/de/policies", "/products/yacht"):
        answer = await fetch(f"http://127.0.0.1{page}", host=host)
        assert widget(answer) == f"{origin}/widget.js"
        assert policy(answer)["script-src"] == policy(answer)["frame-src"] == origin


async def test_a_set_origin_of_parley_is_the_one_that_a_foreign_page_names():
    environ = {"PARLEY_ORIGIN": "https://chat.example"}
    answer = await fetch("http://shop.localhost:8000/", environ)
    assert widget(answer) == "https://chat.example/widget.js"
    assert policy(answer)["frame-src"] == "https://chat.example"


async def test_a_page_allows_itself_and_the_widget_and_nothing_else():
    answer = await fetch("http://shop.localhost:8000/")
    assert policy(answer) == {
        "default-src": "'none'",
        "script-src": "http://127.0.0.1:8000",
        "frame-src": "http://127.0.0.1:8000",
        "style-src": "'self'",
        "img-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "host",
    ["", "shop.localhost:99999999", "shop.localhost:80; script-src *", 'a"><script>', "[::1]:8000"],
)
async def test_a_host_header_that_is_none_cannot_reach_page_or_policy(host: str):
    answer = await fetch("http://127.0.0.1:8000/", host=host)
    assert answer.status_code == 200
    assert widget(answer) == "/widget.js"
    assert policy(answer)["script-src"] == "'self'"
    assert "http://" not in answer.text


async def test_the_footer_tells_both_origins_on_this_machine_only():
    here = await fetch("http://127.0.0.1:8123/de/about")
    assert 'href="http://127.0.0.1:8123/de/about">http://127.0.0.1:8123/<' in here.text
    assert 'href="http://shop.localhost:8123/de/about">http://shop.localhost:8123/<' in here.text
    elsewhere = await fetch("http://demo.example/de/about")
    assert "shop.localhost" not in elsewhere.text
    assert "Demo von Parley" in elsewhere.text


def test_the_site_takes_the_origins_that_the_footer_tells():
    assert {"http://127.0.0.1:*", "http://shop.localhost:*"} <= set(SITE.origins)


def test_the_shop_keeps_out_of_parleys_own_paths():
    for route in routes(load({})):
        assert not re.match(r"/(v1|widget|panel|desk|healthz|readyz|metrics)", route.path)


@pytest.mark.parametrize("name", DRAWINGS)
async def test_a_drawing_is_a_small_svg_that_loads_nothing(name: str):
    answer = await fetch(f"http://127.0.0.1/shop/art/{name}.svg")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    root = ElementTree.fromstring(answer.content)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(answer.content) < 10_000
    assert answer.text.count("http") == 1
    assert "href" not in answer.text
    assert not {"script", "style", "foreignObject"} & {
        element.tag.rpartition("}")[2] for element in root.iter()
    }


@pytest.mark.parametrize("slug", GOODS)
async def test_a_good_is_painted_in_each_of_its_colours(slug: str):
    painted = set()
    for colour in GOODS[slug].colours:
        answer = await fetch(f"http://127.0.0.1/shop/art/{slug}-{colour}.svg")
        assert f'color="{COLOURS[colour].hex}"' in answer.text
        assert "currentColor" in answer.text
        ElementTree.fromstring(answer.content)
        painted.add(answer.text)
    assert len(painted) == len(GOODS[slug].colours)


@pytest.mark.parametrize(
    "name", ["yacht", "fjell-parka-pink", "hero-blue", "colour-", "-blue", "..%2fshop", "%00"]
)
async def test_a_drawing_that_is_none_is_not_found(name: str):
    assert (await fetch(f"http://127.0.0.1/shop/art/{name}.svg")).status_code == 404


async def test_the_stylesheet_loads_only_the_shops_own_drawings():
    answer = await fetch("http://127.0.0.1/shop/shop.css")
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    [drawing] = set(re.findall(r"url\(([^)]*)\)", answer.text))
    assert re.fullmatch(r"/shop/art/hero\.svg\?v=[0-9a-f]+", drawing)
    assert (await fetch("http://127.0.0.1" + drawing)).status_code == 200
    assert "http" not in answer.text
    assert "@import" not in answer.text


async def test_files_are_kept_and_pages_are_not():
    assert "max-age" in (await fetch("http://127.0.0.1/shop/shop.css")).headers["cache-control"]
    assert (await fetch("http://127.0.0.1/")).headers["cache-control"] == "no-cache"
