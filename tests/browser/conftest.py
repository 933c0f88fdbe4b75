"""A real Chromium, and the tabs that customers have open in it.

All of it runs on one event loop, Playwright's: the modules here say `loop_scope="session"`.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright, expect

from tests.browser.pages import Pages
from tests.browser.tabs import FLAGS, Tabs
from tests.support import programs
from tests.support.instance import Demo

expect.set_options(timeout=15_000)  # what takes long here is waited for, never slept for


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
def demo(running_demo: Demo) -> Iterator[Demo]:
    """`parley demo`, its simulator as it is when nobody has touched it."""
    running_demo.control(reset=True)
    yield running_demo


@pytest.fixture(scope="session")
def running_pages() -> Iterator[Pages]:
    with Pages() as pages:
        yield pages


@pytest.fixture
def pages(running_pages: Pages) -> Pages:
    """A web server for pages that embed the widget in their own way."""
    running_pages.clear()
    return running_pages
