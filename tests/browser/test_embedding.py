"""The widget in pages that are not the sample shop's: strict, hostile, old-fashioned, foreign."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.shops import ANSWER
from tests.browser.tabs import FLAGS, Tab, bare
from tests.support import programs
from tests.support.eventually import eventually
from tests.support.instance import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="session")

# What a page may write to be able to call before the loader is there, with an ear for every event.
STUB = """<script nonce="n0nce">
window.Parley = function () { (Parley.q = Parley.q || []).push(arguments) };
window.heard = [];
for (const name of ['ready', 'open', 'close', 'message', 'unread', 'handoff', 'error'])
  Parley('on', name, (detail) => heard.push([name, detail ?? null]));
</script>"""
# As tag managers put it in.
INSERT = """(src) => {
  const script = Object.assign(document.createElement('script'), { src });
  script.dataset.site = 'pk_shop';
  document.head.append(script);
}"""


async def heard(page: Page, name: str) -> list[object]:
    """What came with every event of this name so far."""
    return [detail for event, detail in await page.evaluate("() => heard") if event == name]


async def test_the_strictest_policy_of_a_shop_is_kept(parley, tabs):
    policy = (
        "default-src 'none'; style-src 'none'; script-src 'nonce-n0nce' 'strict-dynamic'; "
        f"require-trusted-types-for 'script'; trusted-types 'none'; frame-src {parley.url}; "
        "base-uri 'none'; form-action 'none'; img-src data:"
    )
    tag = parley.tag(nonce="n0nce")
    tab = await tabs.open(parley.page(tag=tag, headers={"content-security-policy": policy}))
    await tab.open()
    seen = await tab.watch_growth(0)
    await tab.ask("Do you ship to Norway?")
    assert bare(await tab.answered(1)) == bare(ANSWER)
    assert len(await seen()) > 1, "it did not stream"
    assert tab.trouble == []
    # The proof that such a page would have told: what the policy forbids does not pass unheard.
    await tab.page.evaluate("() => void document.body.setAttribute('style', 'color: red')")
    await eventually(lambda: any("violation of style-src" in line for line in tab.trouble))
    tab.expects("style-src")


async def test_a_shop_that_the_site_does_not_list_gets_no_panel(parley, tabs):
    tab = await tabs.open(parley.page(head=STUB, host="stranger.localhost"))
    tab.expects("frame-ancestors", "chrome-error", "postMessage")
    await tab.launcher.click()
    await eventually(lambda: any("frame-ancestors" in line for line in tab.trouble))
    await tab.page.evaluate("() => Parley('send', 'Is anybody there?')")
    await tab.page.wait_for_load_state("networkidle")
    assert await tab.panel.locator("main").count() == 0
    assert [url for url in tab.requests if "/v1/" in url] == [] == tab.sockets
    assert await tab.page.evaluate("() => heard") == [["open", None]]
    assert await tab.page.evaluate("() => Object.keys(localStorage)") == []
    await tab.launcher.click()
    await expect(tab.launcher).to_have_attribute("aria-expanded", "false")


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
    await eventually(lambda: heard_all(tab, "message", messages))
    assert await heard(tab.page, "in the document") == messages
    await tab.panel.get_by_role("button", name="Close the chat").click()
    await expect(tab.launcher).to_be_focused()
    events = [name for name, _ in await tab.page.evaluate("() => heard")]
    assert [events.count(name) for name in ("ready", "open", "close", "error")] == [1, 1, 1, 0]
    assert "Norway" not in str(await tab.page.evaluate("() => heard"))


async def heard_all(tab: Tab, name: str, expected: list[object]) -> bool:
    return await heard(tab.page, name) == expected


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


async def test_every_attribute_of_the_tag_is_obeyed(parley, tabs):
    tag = parley.tag(position="left", label="Help", color="#ffcc00", theme="dark", locale="de-AT")
    tab = await tabs.open(parley.page(tag=tag))
    box = await tab.launcher.bounding_box()
    assert box is not None and box["x"] < 100
    await expect(tab.launcher).to_have_accessible_name("Help")
    await expect(tab.launcher).to_have_css("background-color", "rgb(255, 204, 0)")
    await tab.open()
    root = tab.panel.locator("html")
    await expect(root).to_have_attribute("lang", "de")
    await expect(root).to_have_attribute("data-theme", "dark")


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
    await eventually(lambda: heard_all(tab, "error", [{"code": "identify_unavailable"}]))
    await tab.page.evaluate("() => Parley('identify', () => Promise.reject(new Error('no')))")
    refused = [{"code": "identify_unavailable"}, {"code": "identify_failed"}]
    await eventually(lambda: heard_all(tab, "error", refused))
    assert await tab.panel.get_by_role("alert").count() == 0


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


async def test_escape_closes_it_and_gives_the_focus_back(parley, tabs):
    tab = await tabs.open(parley.page(head=STUB))
    await tab.open()
    await tab.composer.fill("half a quest")
    await tab.page.keyboard.press("Escape")
    await expect(tab.launcher).to_be_focused()
    await expect(tab.launcher).to_have_attribute("aria-expanded", "false")
    await tab.page.keyboard.press("Enter")
    await expect(tab.composer).to_be_focused()
    await expect(tab.composer).to_have_value("half a quest")
    assert len(await heard(tab.page, "ready")) == 1, "the panel was loaded anew"


async def test_a_swapped_body_keeps_the_panel_as_it_is(parley, tabs):
    tab = await tabs.open(parley.page(head=STUB))
    await tab.open()
    await tab.ask("Do you ship to Norway?")
    await tab.answered(1)
    await tab.composer.fill("half a quest")
    await tab.page.evaluate("""() => {
      history.pushState(null, '', '/another');
      document.body.replaceWith(document.createElement('body'));
    }""")
    await expect(tab.launcher).to_be_visible()
    await expect(tab.composer).to_have_value("half a quest")
    await tab.composer.press("Enter")
    await tab.answered(2)
    assert len(await heard(tab.page, "ready")) == 1
    assert sum("/panel?" in url for url in tab.requests) == 1


async def test_loaded_twice_it_is_there_once(parley, tabs):
    tab = await tabs.open(parley.page(tag=parley.tag() * 2))
    again = f"{parley.url}/widget.js?again"
    async with tab.page.expect_request_finished(lambda request: request.url == again):
        await tab.page.evaluate(INSERT, again)
    await tab.open()
    assert await tab.page.locator("parley-chat").count() == 1


async def test_in_the_head_it_waits_for_a_body(parley, tabs):
    tag = parley.tag().replace(" async", "")
    tab = await tabs.open(parley.page(head=STUB + tag, tag=""))
    await tab.open()
    assert await tab.page.locator("html > parley-chat").count() == 1


async def test_destroyed_it_is_gone_and_may_come_back(parley, tabs):
    tab = await tabs.open(parley.page())
    await tab.open()
    await tab.page.evaluate("() => Parley('destroy')")
    assert await tab.page.locator("parley-chat").count() == 0
    assert await tab.page.evaluate("() => 'Parley' in window") is False
    await tab.page.evaluate(INSERT, f"{parley.url}/widget.js")
    await tab.open()


async def test_a_page_that_hides_everything_does_not_hide_it(parley, tabs):
    style = """<style>
      :not(html) { all: unset !important; display: none !important }
      html { font-size: 40px; visibility: hidden }
    </style>"""
    tab = await tabs.open(parley.page(head=style))
    await tab.open()
    size = "(node) => [node.offsetWidth, node.offsetHeight]"
    assert await tab.launcher.evaluate(size) == [56, 56]
    assert await tab.page.locator("parley-chat iframe").evaluate(size) == [400, 680]


async def test_old_scripts_of_the_page_do_not_break_it(parley, tabs):
    scripts = """<script>
      Object.prototype.extend = function () {};
      Array.prototype.each = Array.prototype.toJSON = function () {};
      Array.from = function (from) { return from ? [].slice.call(from) : [] };
      JSON.stringify = function () { throw new Error('not today') };
      window.define = function () { throw new Error('anonymous module') };
      window.define.amd = {};
      window.name = 'parley';
    </script>"""
    tab = await tabs.open(parley.page(head=scripts + STUB))
    await tab.open()
    await tab.ask("Do you ship to Norway?")
    await tab.answered(1)
    assert len(await heard(tab.page, "message")) == 2


async def test_back_from_another_page_it_goes_on(parley, tabs, playwright):
    """The browser keeps the whole page, and restores it without loading anything."""
    keeping = await playwright.chromium.launch(
        executable_path=programs.chromium(), args=FLAGS,
        ignore_default_args=["--disable-back-forward-cache"],
    )  # fmt: skip
    ear = "<script>addEventListener('pageshow', (e) => (window.restored = e.persisted))</script>"
    context = await tabs.context(keeping)
    tab = await tabs.open(parley.page(head=STUB + ear), context)
    await tab.open()
    await tab.ask("Do you ship to Norway?")
    await tab.answered(1)
    await tab.page.goto(parley.page("/other"))
    await tab.page.go_back(wait_until="commit")
    assert await tab.page.evaluate("() => window.restored"), "it was loaded anew"
    # Playwright loses sight of the frames of a restored page; the page itself hears of messages.
    await tab.page.evaluate("() => Parley('send', 'And to Sweden?')")
    both = [{"m": m, "author": "customer" if m % 2 else "assistant"} for m in range(1, 5)]
    await eventually(lambda: heard_all(tab, "message", both), within=15)
    await tab.page.reload()
    await tab.open()
    await tab.answered(2)
    assert await tab.said() == ["Do you ship to Norway?", "And to Sweden?"]
    await keeping.close()
