"""The widget in pages that are not the sample shop's: strict, hostile, old-fashioned, foreign."""

import pytest
from playwright.async_api import expect

from tests.browser.pages import STUB
from tests.browser.shops import ANSWER
from tests.browser.tabs import FLAGS, bare
from tests.support import programs
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

# As tag managers put it in.
INSERT = """(src) => {
  const script = Object.assign(document.createElement('script'), { src });
  script.dataset.site = 'pk_shop';
  document.head.append(script);
}"""


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
    await expect(tab.launcher).to_have_attribute("aria-expanded", "false")
    refused = [["open", None], ["close", None], ["error", {"code": "panel_refused"}]]
    assert await tab.page.evaluate("() => heard") == refused
    assert await tab.page.evaluate("() => Object.keys(localStorage)") == []
    assert await tab.page.locator("iframe").count() == 0
    await tab.launcher.click()
    await expect(tab.launcher).to_have_attribute("aria-expanded", "true")
    await eventually(lambda: tab.has_heard("error", [{"code": "panel_refused"}] * 2), within=15)


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
    assert len(await tab.heard("ready")) == 1, "the panel was loaded anew"


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
    assert len(await tab.heard("ready")) == 1
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
    assert len(await tab.heard("message")) == 2


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
    await eventually(lambda: tab.has_heard("message", both), within=15)
    await tab.page.reload()
    await tab.open()
    await tab.answered(2)
    assert await tab.said() == ["Do you ship to Norway?", "And to Sweden?"]
    await keeping.close()
