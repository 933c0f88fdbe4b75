"""The main job, as a customer does it in a browser: from a page that costs nothing to an answer
that survives a reload, in three languages and two directions.

The shop stands on a foreign origin, Parley behind two workers, the state in a real Valkey.
"""

import asyncio
import shutil
from dataclasses import dataclass
from itertools import pairwise

import pytest
from playwright.async_api import expect

from tests.browser.tabs import Tab, bare
from tests.support.client import Client
from tests.support.eventually import eventually
from tests.support.instance import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="session")

IMAGES = ROOT / "docs" / "images"
QUICK = {"tokens_per_second": 160}
READABLE = {"tokens_per_second": 30}  # slow enough to be reloaded in the middle of it
SLACK = 20  # characters that may arrive between two looks
STORES = """
async () => [
  ...Object.keys(localStorage), ...Object.keys(sessionStorage), document.cookie,
  ...(await indexedDB.databases()).map(({ name }) => name), ...(await caches.keys()),
]
"""


@dataclass(frozen=True)
class Journey:
    """What is asked in one language, and what the shop's facts say to it."""

    path: str
    direction: str
    question: str
    fact: str
    follow_up: str  # names no subject: only the conversation tells what is meant
    its_fact: str
    last: str
    last_fact: str


JOURNEYS = {
    "en": Journey(
        "/", "ltr", "How much is shipping to Germany?", "€4.90",
        "And to Norway?", "€14.90", "Can I send an item back?", "30 days",
    ),
    "zh": Journey(
        "/zh/", "ltr", "寄到德国的运费是多少？", "4.90 欧元",
        "那挪威呢？", "14.90 欧元", "我可以退货吗？", "30 天",
    ),
    "ar": Journey(
        "/ar/", "rtl", "كم تكلفة الشحن إلى ألمانيا؟", "4.90 يورو",
        "وإلى النرويج؟", "14.90 يورو", "هل يمكنني إرجاع المنتج؟", "30 يوم",
    ),
}  # fmt: skip


@pytest.mark.parametrize("language", JOURNEYS)
async def test_a_customer_asks_and_reloads_and_loses_nothing(language, demo, tabs, request):
    journey = JOURNEYS[language]
    demo.control(**QUICK)
    tab = await tabs.open(demo.shop + journey.path)
    await nothing_was_touched(tab, demo.url)

    await tab.open()
    assert await tab.caret_is_in_composer()
    root = tab.panel.locator("html")
    await expect(root).to_have_attribute("lang", language)
    await expect(root).to_have_attribute("dir", journey.direction)

    seen = await tab.watch_growth(0)
    await type_and_send(tab, journey.question)
    assert set(tab.sockets) == {demo.url.replace("http", "ws") + "/v1/ws"}, "no secret in a URL"
    assert journey.fact in await tab.answered(1)
    grew_token_by_token(await seen(), await tab.answers.nth(0).text_content())

    await type_and_send(tab, journey.follow_up)
    assert journey.its_fact in await tab.answered(2)
    the_model_knew_the_first_question(demo.requests()[-1], journey)

    demo.control(**READABLE)
    await type_and_send(tab, journey.last)
    await reload_in_mid_answer(tab)
    assert journey.last_fact in await tab.answered(3)

    asked = [journey.question, journey.follow_up, journey.last]
    shown = await tab.texts()
    assert await tab.said() == asked
    assert shown == await as_the_log_has_it(tab, demo.url, asked)
    await direction_and_language(tab, language, journey.direction)
    if request.config.getoption("--screenshots", default=False):
        await keep_picture(tab, language)

    await tab.page.reload()
    await tab.open()
    await tab.answered(3)
    assert (await tab.said(), await tab.texts()) == (asked, shown)


# -- steps ------------------------------------------------------------------------------------


async def nothing_was_touched(tab: Tab, parley: str) -> None:
    """A page that embeds Parley has asked for the loader, and that is all."""
    await tab.page.wait_for_load_state("networkidle")
    assert [url for url in tab.requests if url.startswith(parley)] == [f"{parley}/widget.js"]
    assert tab.sockets == []
    assert await tab.page.context.cookies() == []
    assert [name for name in await tab.page.evaluate(STORES) if name] == []
    assert await tab.page.locator("iframe").count() == 0


async def type_and_send(tab: Tab, text: str) -> None:
    """By keyboard, into whatever has the focus: the panel's composer, if all is well."""
    before = await tab.questions.count()
    await tab.page.keyboard.type(text)
    await tab.page.keyboard.press("Enter")
    await expect(tab.questions).to_have_count(before + 1)
    await expect(tab.composer).to_have_value("")


def grew_token_by_token(seen: list[str], last: str | None) -> None:
    """Nothing on the screen was ever taken back, and it came in many pieces."""
    assert seen[-1] == last
    assert all(late.startswith(early) and early != late for early, late in pairwise(seen))
    assert len(seen) >= 4


def the_model_knew_the_first_question(received: dict, journey: Journey) -> None:
    said = [(message["role"], message["content"]) for message in received["body"]["messages"]]
    assert ("user", journey.question) in said
    assert any(role == "assistant" and journey.fact in text for role, text in said)
    assert said[-1] == ("user", journey.follow_up)


async def reload_in_mid_answer(tab: Tab) -> None:
    """Leave while the third answer is being written, come back, and find it going on."""

    async def has_begun() -> str:
        texts = await tab.texts()
        return texts[2] if len(texts) == 3 and len(texts[2]) > SLACK else ""

    shown = await eventually(has_begun, within=15)
    await tab.page.reload()
    await tab.launcher.wait_for()
    await tab.open()
    later = await eventually(has_begun, within=15)
    assert later.startswith(shown)
    assert await tab.whole.count() == 2, "it had ended before the page was back: nothing is proved"
    assert await tab.caret_is_in_composer()


async def as_the_log_has_it(tab: Tab, parley: str, asked: list[str]) -> list[str]:
    """The answers by a client of our own, which checks every offset, length and checksum."""
    handle = await tab.page.evaluate("() => localStorage['parley:pk_demo:resume'] ?? null")
    handle = handle or await tab.frame.evaluate("() => localStorage['parley:pk_demo:handle']")
    client = await Client(parley).start(resume=handle)
    assert client.session["resumed"]
    try:
        await client.connect()
        await client.got("snapshot")
        messages = [message for _, message in sorted(client.view.messages.items())]
    finally:
        await client.stop()
    assert [m["text"] for m in messages if m["author"] == "customer"] == asked
    answers = client.view.answers()
    assert [message["done"] for message in answers] == [True] * len(asked)
    assert [message["answers"] for message in answers] == [[m["m"]] for m in messages[::2]]
    return [bare(message["text"]) for message in answers]


async def direction_and_language(tab: Tab, language: str, direction: str) -> None:
    """What is read aloud and from which side, for the shop's page, the panel and each message."""
    assert await tab.page.evaluate("() => document.documentElement.dir") == direction
    for which in (tab.answers, tab.questions):
        for one in await which.all():
            assert await one.evaluate("(node) => getComputedStyle(node).direction") == direction
            assert await one.evaluate("(node) => node.closest('[lang]').lang") == language
    launcher = await tab.launcher.bounding_box()
    assert launcher is not None
    assert (launcher["x"] < 600) == (direction == "rtl")


async def keep_picture(tab: Tab, language: str) -> None:
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / f"journey-{language}.png"
    await tab.page.screenshot(path=path)
    smaller = shutil.which("pngquant")
    if smaller:
        words = (smaller, "--force", "--speed=1", "--output", str(path), str(path))
        assert await (await asyncio.create_subprocess_exec(*words)).wait() == 0
