"""The sample shop's pages as a browser reads them: well-formed, linked, in four languages."""

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin

import httpx
import pytest
from starlette.applications import Starlette

from service.core.languages import direction
from service.demo.goods import COLOURS, GOODS, LANGUAGES
from service.demo.shop import routes
from service.settings import load

HOME = "http://127.0.0.1:8000"
PAGES = ("/", "/policies", "/about", "/basket", *(f"/products/{slug}" for slug in GOODS))
EVERY = [(language, page) for language in LANGUAGES for page in PAGES]
VOID = {"meta", "link", "img", "br", "input"}


class Page(HTMLParser):
    """The elements of a page; fails at the first tag that closes what is not open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def addresses(self) -> list[str]:
        return [
            value
            for _, attributes in self.elements
            for name, value in attributes.items()
            if name in ("href", "src", "action") and value is not None
        ]

    def ids(self) -> list[str | None]:
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


@pytest.fixture
async def shop() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Starlette(routes=routes(load({}))))
    async with httpx.AsyncClient(transport=transport, base_url=HOME) as client:
        yield client


def address(language: str, page: str) -> str:
    return page if language == "en" else f"/{language}{page}"


@pytest.mark.parametrize(("language", "page"), EVERY)
async def test_every_page_is_well_formed_in_its_language_and_direction(
    shop: httpx.AsyncClient, language: str, page: str
):
    answer = await shop.get(address(language, page))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.startswith("<!doctype html>")
    read = Page(answer.text)
    [html] = read.all("html")
    assert html == {"lang": language, "dir": direction(language)}
    assert len(read.all("h1")) == len(read.all("main")) == len(read.all("title")) == 1
    assert len(set(read.ids())) == len(read.ids())
    assert all("alt" in image for image in read.all("img"))
    assert all("{" not in part for part in (read.text, *read.addresses()))


@pytest.mark.parametrize(("language", "page"), EVERY)
async def test_every_page_needs_no_inline_style_or_script(
    shop: httpx.AsyncClient, language: str, page: str
):
    read = Page((await shop.get(address(language, page))).text)
    assert read.all("style") == []
    for tag, attributes in read.elements:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes), tag
    [script] = read.all("script")
    assert script["src"] == "/widget.js"
    assert "async" in script
    assert script["data-site"] == "pk_demo"
    assert script["data-locale"] == language


@pytest.mark.parametrize(("language", "page"), EVERY)
async def test_every_page_offers_itself_in_the_other_languages(
    shop: httpx.AsyncClient, language: str, page: str
):
    read = Page((await shop.get(address(language, page))).text)
    offered = {a["hreflang"]: a["href"] for a in read.all("a") if "hreflang" in a}
    assert offered == {code: address(code, page) for code in LANGUAGES}
    [current] = [a for a in read.all("a") if "hreflang" in a and "aria-current" in a]
    assert current["hreflang"] == language
    assert offered == {a["hreflang"]: a["href"] for a in read.all("link") if "hreflang" in a}


async def test_every_link_leads_somewhere_and_none_leads_out(shop: httpx.AsyncClient):
    waiting, seen, fragments = {HOME + "/"}, set[str](), set[tuple[str, str]]()
    ids: dict[str, list[str | None]] = {}
    while waiting:
        url = waiting.pop()
        seen.add(url)
        answer = await shop.get(url)
        assert answer.status_code == 200, url
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        read = Page(answer.text)
        ids[url] = read.ids()
        for link in read.addresses():
            if link.startswith("mailto:help@nordlicht.example") or link == "/widget.js":
                continue
            target, fragment = urldefrag(urljoin(url, link))
            if target.startswith("http://shop.localhost:8000/"):
                target = target.replace("shop.localhost", "127.0.0.1")
            assert target.startswith(HOME + "/"), (url, link)
            if fragment:
                fragments.add((target, fragment))
            if target not in seen:
                waiting.add(target)
    assert {HOME + address(language, page) for language, page in EVERY} <= seen
    assert len(seen) > 100  # with every colour of every good, and every drawing
    for target, fragment in fragments:
        assert fragment in ids[target], (target, fragment)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_product_page_shows_price_colours_sizes_and_stock(
    shop: httpx.AsyncClient, language: str
):
    for good in GOODS.values():
        read = Page((await shop.get(address(language, f"/products/{good.slug}"))).text)
        amount = f"{good.cents / 100:.2f}"
        assert (amount.replace(".", ",") if language == "de" else amount) in read.text
        assert good.name[language] in read.text
        for colour in good.colours:
            assert COLOURS[colour].name[language] in read.text
        assert len(read.all("option")) == len(good.sizes)
        [button] = read.all("button")
        assert ("disabled" in button) == (good.stock == 0)
        if good.stock:
            assert str(good.stock) in read.text


async def test_a_chosen_colour_is_the_one_that_is_drawn_and_bought(shop: httpx.AsyncClient):
    read = Page((await shop.get("/products/fjell-parka?colour=forest")).text)
    [current] = [a for a in read.all("a") if "aria-current" in a and "hreflang" not in a]
    assert current["href"] == "?colour=forest"
    assert {"type": "hidden", "name": "colour", "value": "forest"} in read.all("input")
    [drawn] = [image for image in read.all("img") if image["alt"] == "Fjell Parka, forest green"]
    assert str(drawn["src"]).startswith("/shop/art/fjell-parka-forest.svg")


@pytest.mark.parametrize("colour", ["pink", "", "rust", "%22%3E%3Cscript%3E"])
async def test_a_colour_that_a_good_has_not_falls_back_to_its_first(
    shop: httpx.AsyncClient, colour: str
):
    answer = await shop.get(f"/products/fjell-parka?colour={colour}")
    assert answer.status_code == 200
    assert {"type": "hidden", "name": "colour", "value": "blue"} in Page(answer.text).all("input")
    assert len(Page(answer.text).all("script")) == 1


async def test_the_basket_adds_shipping_below_75_euros_only(shop: httpx.AsyncClient):
    socks = Page((await shop.get("/basket?item=ull-socks&colour=blue&size=40–43")).text).text
    assert "blue, 40–43" in socks
    assert "€4.90" in socks
    assert "€22.90" in socks
    parka = Page((await shop.get("/de/basket?item=fjell-parka&colour=black&size=M")).text).text
    assert "Schwarz, M" in parka
    assert "kostenlos" in parka
    assert parka.count("189,00 €") == 3


@pytest.mark.parametrize("query", ["", "?item=", "?item=yacht", "?item=<script>", "?size=M"])
async def test_a_basket_without_a_good_of_the_shop_is_empty(shop: httpx.AsyncClient, query: str):
    answer = await shop.get("/basket" + query)
    assert answer.status_code == 200
    assert "Your basket is still empty." in answer.text


async def test_a_size_that_a_good_has_not_is_left_out(shop: httpx.AsyncClient):
    answer = await shop.get("/basket?item=fjell-parka&size=%3Cb%3E")
    assert '<p class="muted">blue</p>' in answer.text
    assert Page(answer.text).all("b") == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_an_unknown_product_gets_a_page_that_leads_back(
    shop: httpx.AsyncClient, language: str
):
    answer = await shop.get(address(language, "/products/yacht"))
    assert answer.status_code == 404
    read = Page(answer.text)
    assert read.all("html") == [{"lang": language, "dir": direction(language)}]
    assert address(language, "/") in read.addresses()
    assert all("yacht" not in link for link in read.addresses())
