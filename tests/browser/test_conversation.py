"""One conversation through closed panels, other tabs, denied storage, no network, dead workers."""

import json
import os
import signal
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Locator, expect

from tests.browser.shops import ANSWER, LONG_ANSWER, SITE
from tests.browser.tabs import FLAGS, SIZE, Tab, bare
from tests.support import programs
from tests.support.client import customer
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUESTION = "Do you ship to Norway?"
LONG_QUESTION = "Please answer slowly, I read slowly."
IN_SHOP = f"parley:{SITE}:resume"
IN_PANEL = f"parley:{SITE}:handle"
TOUCH = "() => { try { return Object.keys(localStorage) } catch { return null } }"


async def begun(tab: Tab, number: int = 0) -> str:
    """What the answer with this number says, once it says something and is not whole."""
    await expect(tab.answers.nth(number)).to_contain_text("Sentence number")
    text = await tab.answers.nth(number).inner_text()
    assert len(text) < len(LONG_ANSWER), "it was over too soon: nothing is proved"
    return text


def badge(tab: Tab) -> Locator:
    return tab.launcher.locator("b")


# -- storage --------------------------------------------------------------------------------------


@asynccontextmanager
async def profile(playwright, tabs, folder, cookie_controls):
    """A context whose frames of other sites may (0) or may not (1) have storage."""
    preferences = folder / "Default" / "Preferences"
    preferences.parent.mkdir(parents=True)
    preferences.write_text(json.dumps({"profile": {"cookie_controls_mode": cookie_controls}}))
    context = await playwright.chromium.launch_persistent_context(
        folder, executable_path=programs.chromium(), args=FLAGS, viewport=SIZE
    )
    yield await tabs.adopt(context)
    await context.close()


@pytest.mark.parametrize("denied", [False, True], ids=["storage allowed", "storage denied"])
async def test_a_conversation_outlives_a_reload(denied, parley, tabs, playwright, tmp_path):
    async with profile(playwright, tabs, tmp_path, int(denied)) as context:
        tab = await tabs.open(parley.page(), context)
        await tab.open()
        await tab.ask(QUESTION)
        await tab.answered(1)
        in_panel = await tab.frame.evaluate(TOUCH)
        in_shop = await tab.page.evaluate(TOUCH)
        if denied:
            assert (in_panel, in_shop) == (None, [IN_SHOP])
        else:
            assert (in_panel, in_shop) == ([IN_PANEL], [])
        await tab.page.reload()
        await tab.open()
        assert bare(await tab.answered(1)) == bare(ANSWER)
        await tab.ask("And to Sweden?")  # with the successor of the handle
        await tab.page.reload()
        await tab.open()
        await tab.answered(2)
        assert await tab.said() == [QUESTION, "And to Sweden?"]
        assert await tab.page.context.cookies() == []


# -- tabs -----------------------------------------------------------------------------------------


async def test_two_tabs_show_the_same_at_once(parley, tabs):
    context = await tabs.context()
    address = parley.page()
    one = await tabs.open(address, context)
    await one.open()
    await one.ask(QUESTION)
    await one.answered(1)
    other = await tabs.open(address, context)
    await other.open()
    await other.answered(1)
    await other.ask(LONG_QUESTION)
    await begun(one, 1)
    await expect(one.stopper).to_be_visible()
    await one.answered(2)
    await other.answered(2)
    assert await one.said() == await other.said() == [QUESTION, LONG_QUESTION]
    assert await one.texts() == await other.texts()


async def test_where_the_shop_has_parleys_own_origin_a_conversation_outlives_a_reload(demo, tabs):
    tab = await tabs.open(demo.url)
    await tab.open()
    await tab.ask(QUESTION)
    shown = await tab.answered(1)
    await tab.page.reload()
    await tab.open()
    assert await tab.answered(1) == shown
    assert await tab.said() == [QUESTION]


# -- the end of the text --------------------------------------------------------------------------

# What grows between two frames stands there before the browser tells of the scrolling before it.
LATE = """() => document.addEventListener('scroll', () => {
  const more = document.createElement('div');
  more.style.height = '200px';
  document.querySelector('.content').append(more);
}, { capture: true, once: true })"""
PIXELS_BELOW = """() => {
  const { scrollHeight, scrollTop, clientHeight } = document.querySelector('.scroller');
  return scrollHeight - scrollTop - clientHeight;
}"""


async def test_who_is_at_the_end_stays_there_however_fast_it_grows(parley, tabs):
    tab = await tabs.open(parley.page(), viewport={"width": 1200, "height": 420})
    await tab.open()
    await tab.ask(QUESTION)
    await tab.answered(1)
    await tab.frame.evaluate(LATE)
    await tab.ask(LONG_QUESTION)
    await tab.answered(2)
    assert await tab.frame.evaluate("() => !!document.querySelector('.content > div')"), "no proof"

    async def at_the_end() -> bool:
        return bool(await tab.frame.evaluate(PIXELS_BELOW) < 2)

    await eventually(at_the_end)
    await expect(tab.panel.locator(".jump")).to_have_count(0)


async def test_who_reads_further_up_is_left_there_and_told(parley, tabs):
    tab = await tabs.open(parley.page(), viewport={"width": 1200, "height": 420})
    await tab.open()
    await tab.ask(QUESTION)
    await tab.answered(1)
    await tab.ask(LONG_QUESTION)
    await begun(tab, 1)
    scroller = tab.panel.locator(".scroller")
    await scroller.evaluate("(node) => node.scrollTo(0, 0)")
    await expect(tab.panel.locator(".jump")).to_be_visible()
    await tab.answered(2)
    assert await scroller.evaluate("(node) => node.scrollTop") == 0
    await tab.panel.locator(".jump").click()
    assert await tab.caret_is_in_composer()
    assert await tab.frame.evaluate(PIXELS_BELOW) < 2


# -- a closed panel -------------------------------------------------------------------------------


async def test_an_answer_to_a_closed_panel_is_counted_on_the_launcher(parley, tabs):
    tab = await tabs.open(parley.page())
    await tab.open()
    await tab.ask(LONG_QUESTION)
    await begun(tab)
    await tab.page.keyboard.press("Escape")
    await expect(badge(tab)).to_have_text("1")
    await expect(tab.launcher).to_have_accessible_name("Chat, 1 unread message")
    await tab.open()
    await expect(badge(tab)).to_have_text("")
    await expect(tab.launcher).to_have_accessible_name("Chat")
    assert bare(await tab.answered(1)) == bare(LONG_ANSWER)


# -- stop, and again ------------------------------------------------------------------------------


async def test_an_answer_is_stopped_and_asked_for_again(parley, tabs):
    tab = await tabs.open(parley.page())
    await tab.open()
    await tab.ask(LONG_QUESTION)
    shown = await begun(tab)
    await tab.stopper.click()
    reason = tab.panel.locator(".reason")
    await expect(reason).to_have_text("You stopped this answer.")
    assert await tab.caret_is_in_composer(), "the button is gone, and with it the focus"
    kept = await tab.answers.first.inner_text()
    assert kept.startswith(shown) and len(kept) < len(LONG_ANSWER)
    await tab.panel.get_by_role("button", name="Try again").click()
    assert bare(await tab.answered(1)) == bare(LONG_ANSWER)
    await expect(tab.answers).to_have_count(1)
    await expect(reason).to_have_count(0)


# -- the queue ------------------------------------------------------------------------------------


async def test_who_waits_for_the_tier_sees_a_place_and_then_the_answer(parley, tabs):
    tab = await tabs.open(parley.page())
    await tab.open()
    async with customer(parley.url, site=SITE) as first:
        await first.send(LONG_QUESTION)
        await first.got("answer.delta")
        await tab.ask(QUESTION)
        place = tab.panel.locator(".waiting.queue")
        await expect(place).to_contain_text("You are number 1 in the queue")
        await expect(place).to_contain_text("about")
        assert bare(await tab.answered(1)) == bare(ANSWER)
        await expect(place).to_have_count(0)
        await first.got("answer.done", reason="stop")
    assert parley.simulator.stats()["max_concurrency"] == 1


# -- what goes away -------------------------------------------------------------------------------


async def test_what_is_written_without_a_network_is_sent_once_it_is_back(parley, tabs):
    tab = await tabs.open(parley.page())
    tab.expects("ERR_INTERNET_DISCONNECTED")
    await tab.open()
    await tab.ask(QUESTION)
    await tab.answered(1)
    await tab.page.context.set_offline(True)
    await expect(tab.panel.locator(".banner")).to_contain_text("You are offline.")
    await tab.ask("Are you there?")
    await expect(tab.panel.get_by_text("Waiting to send")).to_be_visible()
    await tab.page.context.set_offline(False)
    await tab.answered(2)
    await expect(tab.panel.locator(".banner")).to_have_count(0)
    assert await tab.said() == [QUESTION, "Are you there?"]
    await tab.page.reload()
    await tab.open()
    await tab.answered(2)
    assert await tab.said() == [QUESTION, "Are you there?"]


async def test_an_answer_ends_though_all_workers_are_killed_in_the_middle_of_it(parley, tabs):
    tab = await tabs.open(parley.page())
    tab.expects("WebSocket", "ERR_CONNECTION", "ERR_EMPTY_RESPONSE", "Failed to load resource")
    await tab.open()
    before = {worker["pid"] for worker in parley.instance.workers()}
    await tab.ask(LONG_QUESTION)
    await begun(tab)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert bare(await tab.answered(1)) == bare(LONG_ANSWER)
    await tab.ask(QUESTION)
    assert bare(await tab.answered(2)) == bare(ANSWER)
    assert await tab.said() == [LONG_QUESTION, QUESTION]

    def replaced() -> bool:
        now = {worker["pid"] for worker in parley.instance.workers()}
        return len(now) == len(before) and not now & before

    await eventually(replaced, within=15, every=0.5)
