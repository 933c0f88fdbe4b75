"""A real Chromium, the tabs that customers have open in it, and what they meet there.

All of it runs on one event loop, Playwright's: the modules here say `loop_scope="session"`.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright, expect

from tests.browser.pages import Pages
from tests.browser.shops import Parley
from tests.browser.tabs import FLAGS, Tabs
from tests.support import programs
from tests.support.instance import Demo, Instance, Simulator
from tests.support.valkey import Valkey

expect.set_options(timeout=15_000)  # what takes long here is waited for, never slept for

SITES = """
[[site]]
key = "pk_shop"
name = "The Shop"
origins = ["http://other.localhost:*"]
languages = ["en", "de"]
contact = "help@shop.example"
[[site.facts]]
title = { en = "Shipping" }
text = { en = "We ship to Norway in 5 days for 12 euro." }
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots",
        action="store_true",
        help="keep the finished journeys as docs/images/journey-*.png (smaller with pngquant)",
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    browser = await playwright.chromium.launch(executable_path=programs.chromium(), args=FLAGS)
    yield browser
    await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def tabs(browser: Browser) -> AsyncIterator[Tabs]:
    """`await tabs.open(url)`; at the end of the test, nothing untoward may have happened in one."""
    opened = Tabs(browser)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def running_demo() -> Iterator[Demo]:
    with Demo() as demo:
        yield demo


@pytest.fixture
def demo(running_demo: Demo) -> Demo:
    """`parley demo`, its simulator as it is when nobody has touched it."""
    running_demo.control(reset=True)
    return running_demo


@pytest.fixture(scope="session")
def running_parley(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parley]:
    sites = tmp_path_factory.mktemp("browser") / "sites.toml"
    sites.write_text(SITES)
    with (
        Valkey() as valkey,
        Simulator(tier=1, first_token_ms=50, tokens_per_second=100) as simulator,
        Instance(valkey.url, simulator.url, sites=sites, PARLEY_TIER="1") as instance,
        Pages() as pages,
    ):
        yield Parley(instance, simulator, pages)


@pytest.fixture
def parley(running_parley: Parley) -> Parley:
    """Two workers of a tier of one, and pages of our own that embed the widget."""
    running_parley.reset()
    return running_parley
