"""`Parley(…)` and its events: what the shop's page can ask of the chat, and what it is told."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.pages import STUB
from tests.support.eventually import eventually
from tests.support.instance import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_calls_before_the_loader_are_obeyed_in_their_order(parley, tabs):
    early = "<script>Parley('setLocale', 'de'); Parley('open'); Parley('send', 'Hallo?')</script>"
    tab = await tabs.open(parley.page(head=STUB + early))
    await tab.answered(1)
    assert await tab.said() == ["Hallo?"]
    await expect(tab.panel.locator("html")).to_have_attribute("lang", "de")
    await expect(tab.composer).to_be_focused()


async def test_the_page_hears_of_messages_but_not_what_they_say(parley, tabs):
    tab = await tabs.open(parley.page(head=STUB))
    await tab.page.evaluate("""() => document.addEventListener('parley:message',
      ({ detail }) => heard.push(['in the document', detail]))""")
    await tab.open()
    await tab.ask("Do you ship to Norway?")
    await tab.answered(1)
    messages = [{"m": 1, "author": "customer"}, {"m": 2, "author": "assistant"}]
    await eventually(lambda: tab.has_heard("message", messages))
    assert await tab.heard("in the document") == messages
    await tab.panel.get_by_role("button", name="Close the chat").click()
    await expect(tab.launcher).to_be_focused()
    events = [name for name, _ in await tab.page.evaluate("() => heard")]
    assert [events.count(name) for name in ("ready", "open", "close", "error")] == [1, 1, 1, 0]
    assert "Norway" not in str(await tab.page.evaluate("() => heard"))


async def test_on_returns_its_undo(parley, tabs):
    tab = await tabs.open(parley.page())
    opened = await tab.page.evaluate("""() => {
      let opened = 0;
      const undo = Parley('on', 'open', () => (opened += 1));
      for (const verb of ['open', 'close', 'open', 'close']) Parley(verb);
      undo();
      Parley('open');
      return opened;
    }""")
    assert opened == 2


async def test_every_call_that_the_page_on_embedding_names_is_there(parley, tabs):
    page = (ROOT / "docs" / "embedding.md").read_text("utf-8")
    verbs = set(re.findall(r"`Parley\('(\w+)'", page))
    tab = await tabs.open(parley.page())
    known = await tab.page.evaluate(
        """(verbs) => verbs.filter((verb) => {
      try { Parley(verb, 'en', () => {}) } catch { return false }
      return true;
    })""",
        sorted(verbs - {"destroy"}),
    )
    assert len(known) >= 10
    assert {*known, "destroy"} == verbs
    unknown = "() => { try { Parley('destory') } catch (error) { return error.name } }"
    assert await tab.page.evaluate(unknown) == "TypeError"


async def test_hide_takes_the_launcher_away_and_show_brings_it_back(parley, tabs):
    tab = await tabs.open(parley.page())
    await tab.open()
    await tab.page.evaluate("() => Parley('hide')")
    await expect(tab.launcher).to_be_hidden()
    await expect(tab.page.locator("parley-chat iframe")).to_be_hidden()
    await tab.page.evaluate("() => Parley('show')")
    await expect(tab.launcher).to_be_visible()
    await expect(tab.launcher).to_have_attribute("aria-expanded", "false")


async def test_language_and_look_change_while_it_is_open(parley, tabs):
    tab = await tabs.open(parley.page())
    await tab.open()
    await tab.composer.fill("half a quest")
    await tab.page.evaluate("() => Parley('setLocale', 'ar-EG')")
    await expect(tab.panel.locator("html")).to_have_attribute("dir", "rtl")
    await expect(tab.launcher).to_have_accessible_name("دردشة")
    await tab.page.evaluate("() => Parley('update', { theme: 'dark', color: '#ffcc00' })")
    await expect(tab.panel.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(tab.launcher).to_have_css("background-color", "rgb(255, 204, 0)")
    await expect(tab.composer).to_have_value("half a quest")


async def test_a_jwt_where_the_site_takes_none_is_an_event_not_a_message(parley, tabs):
    tab = await tabs.open(parley.page(head=STUB))
    await tab.open()
    await tab.page.evaluate("() => Parley('identify', async () => 'a.b.c')")
    await eventually(lambda: tab.has_heard("error", [{"code": "identify_unavailable"}]))
    await tab.page.evaluate("() => Parley('identify', () => Promise.reject(new Error('no')))")
    refused = [{"code": "identify_unavailable"}, {"code": "identify_failed"}]
    await eventually(lambda: tab.has_heard("error", refused))
    assert await tab.panel.get_by_role("alert").count() == 0


async def test_a_refused_session_is_an_event_too(parley, tabs):
    async def refuse(route):
        refusal = {"code": "origin_refused", "title": "refused", "status": 403}
        await route.fulfill(status=403, json=refusal, content_type="application/problem+json")

    context = await tabs.context()
    await context.route("**/v1/sessions", refuse)
    tab = await tabs.open(parley.page(head=STUB), context)
    tab.expects("403")
    await tab.open()
    await expect(tab.panel.locator(".banner.bad")).to_contain_text("help@shop.example")
    assert await tab.has_heard("error", [{"code": "origin_refused"}])


async def test_an_empty_conversation_has_questions_to_begin_with(parley, tabs):
    tab = await tabs.open(parley.page())
    await tab.open()
    offered = tab.panel.locator(".ask")
    await expect(offered).to_have_count(3)
    await offered.first.click()
    await tab.answered(1)
    assert await tab.said() == ["What does shipping cost?"]
    assert await tab.caret_is_in_composer()
    await expect(offered).to_have_count(0)


async def test_logout_leaves_nothing_behind(parley, tabs):
    tab = await tabs.open(parley.page())
    await tab.open()
    await tab.ask("Do you ship to Norway?")
    await tab.answered(1)
    await tab.page.evaluate("() => Parley('logout')")
    await expect(tab.questions).to_have_count(0)
    await tab.ask("And who am I now?")
    await tab.answered(1)
    await tab.page.reload()
    await tab.open()
    await tab.answered(1)
    assert await tab.said() == ["And who am I now?"]
