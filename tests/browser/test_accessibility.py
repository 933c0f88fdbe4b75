"""For everybody: axe in every frame and state, the keyboard alone, and what is read aloud."""

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Frame, Page, expect

from tests.browser.shops import LONG_ANSWER
from tests.browser.tabs import bare

pytestmark = pytest.mark.asyncio(loop_scope="session")

# axe looks into no frame of another origin, and at target sizes only when asked for WCAG 2.2.
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
# Where colours are forced, styles still tell those that the page wanted: contrast says nothing.
RUN = """async (tags) => {
  const forced = matchMedia('(forced-colors: active)').matches;
  const rules = { 'color-contrast': { enabled: !forced } };
  const options = { iframes: false, runOnly: { type: 'tag', values: tags }, rules };
  const { violations, passes } = await axe.run(document, options);
  return { violations, passes: passes.length };
}"""
LEAST_PASSES = 20  # rules that found something to look at; fewer, and axe saw an empty page
PHONE = {"width": 360, "height": 640}
QUESTION = "How much is shipping to Germany?"


async def violations(document: Page | Frame) -> list[str]:
    """Every violation in one document, shadow roots included, with the elements it is about."""
    if await document.evaluate("() => typeof axe") == "undefined":
        await document.evaluate(AXE_SCRIPT)
    found = await document.evaluate(RUN, list(TAGS))
    assert found["passes"] >= LEAST_PASSES
    return [f"{one['id']}: {node['html']}" for one in found["violations"] for node in one["nodes"]]


async def flawless(*documents: Page | Frame) -> None:
    for document in documents:
        # An element that is fading in has less contrast than it will have.
        await document.evaluate(
            "() => Promise.allSettled(document.getAnimations().filter(({ effect }) =>"
            " effect.getTiming().iterations < 99).map(({ finished }) => finished))"
        )
        assert await violations(document) == []


@pytest.mark.parametrize("path", ["/", "/ar/"])
async def test_no_state_has_a_violation(path, demo, tabs):
    tab = await tabs.open(demo.shop + path)
    await flawless(tab.page)
    await tab.open()
    await flawless(tab.page, tab.frame)
    demo.control(tokens_per_second=10)
    await tab.ask(QUESTION)
    await expect(tab.panel.locator(".live .text")).to_be_visible()
    await flawless(tab.frame)
    assert await tab.whole.count() == 0, "it had ended before it was looked at"
    demo.control(reset=True)
    await tab.panel.locator(".send[type=button]").click()
    await expect(tab.panel.locator(".reason")).to_be_visible()
    await flawless(tab.frame)
    await tab.ask(QUESTION)
    await tab.answered(1)
    await flawless(tab.frame)


async def test_no_look_has_a_violation(demo, tabs):
    tab = await tabs.open(demo.shop)
    await tab.open()
    await tab.ask(QUESTION)
    await tab.answered(1)
    await tab.page.emulate_media(color_scheme="dark")
    await expect(tab.panel.locator("html")).to_have_attribute("data-theme", "dark")
    await flawless(tab.page, tab.frame)
    await tab.page.emulate_media(color_scheme="light", forced_colors="active")
    await expect(tab.panel.locator(".field")).to_have_css(
        "outline-style", "solid"
    )  # it has the focus
    await flawless(tab.page, tab.frame)
    await tab.page.emulate_media(forced_colors="none", reduced_motion="reduce")
    await tab.page.set_viewport_size(PHONE)
    await expect(tab.launcher).to_be_hidden()
    await flawless(tab.page, tab.frame)


async def test_planted_violations_are_found_in_the_launcher_and_in_the_panel(demo, tabs):
    tab = await tabs.open(demo.shop)
    await tab.open()
    await tab.launcher.evaluate("(button) => button.removeAttribute('aria-label')")
    assert rules(await violations(tab.page)) == {"button-name"}
    await tab.composer.evaluate("""(composer) => {
      for (let left = 0; left < 20; left += 10) {
        const button = document.createElement('button');
        button.style.cssText =
          `all: initial; position: fixed; top: 0; left: ${left}px; width: 9px; height: 9px`;
        composer.before(button);
      }
    }""")
    assert rules(await violations(tab.frame)) == {"button-name", "target-size"}


def rules(found: list[str]) -> set[str]:
    return {line.partition(":")[0] for line in found}


async def test_on_a_phone_it_has_the_screen_and_the_page_behind_is_out_of_reach(demo, tabs):
    tab = await tabs.open(demo.shop, viewport=PHONE, has_touch=True, is_mobile=True)
    await tab.launcher.click()
    frame = tab.page.locator("parley-chat iframe")
    await expect(tab.panel.locator("#panel")).to_be_focused()  # a keyboard would cover the greeting
    await expect(frame).to_have_js_property("offsetWidth", PHONE["width"])
    await expect(frame).to_have_js_property("offsetHeight", PHONE["height"])
    assert await tab.page.evaluate("() => document.body.inert")
    await tab.panel.get_by_role("button", name="Close the chat").click()
    await expect(tab.launcher).to_be_focused()
    assert not await tab.page.evaluate("() => document.body.inert")


async def test_the_keyboard_alone_is_enough(demo, tabs):
    tab = await tabs.open(demo.shop)
    keyboard = tab.page.keyboard
    await tab.page.evaluate("() => document.querySelector('footer a:last-of-type').focus()")
    await tabbed_to(
        tab, lambda: tab.page.evaluate("() => document.activeElement.localName"), "parley-chat"
    )
    await keyboard.press("Enter")
    await expect(tab.composer).to_be_focused()
    demo.control(tokens_per_second=10)
    await keyboard.type(QUESTION)
    await keyboard.press("Shift+Enter")
    await keyboard.type("Please.")
    await expect(tab.composer).to_have_value(f"{QUESTION}\nPlease.")
    await keyboard.press("Enter")
    await expect(tab.panel.locator(".live .text")).to_be_visible()
    name = "() => document.activeElement.ariaLabel ?? document.activeElement.textContent"
    await tabbed_to(tab, lambda: tab.frame.evaluate(name), "Stop the answer")
    await keyboard.press("Enter")
    await expect(tab.panel.locator(".reason")).to_be_visible()
    demo.control(reset=True)
    await tabbed_to(tab, lambda: tab.frame.evaluate(name), "Try again", key="Shift+Tab")
    await keyboard.press("Enter")
    await tab.answered(1)
    await tabbed_to(tab, lambda: tab.frame.evaluate(name), "Helpful")
    await keyboard.press("Space")
    helpful = tab.panel.get_by_role("button", name="Helpful", exact=True)
    await expect(helpful).to_have_attribute("aria-pressed", "true")
    await tabbed_to(tab, lambda: tab.frame.evaluate(name), "Close the chat")
    await keyboard.press("Enter")
    await expect(tab.launcher).to_be_focused()


async def tabbed_to(tab, where, name, *, key="Tab"):
    """Press Tab until the focus is on what is called so; it must come there in one round."""
    passed = []
    for _ in range(40):
        await tab.page.keyboard.press(key)
        passed.append(await where())
        if passed[-1] == name:
            return
    raise AssertionError(f"{name!r} is out of reach: {passed}")


async def test_a_finished_sentence_is_read_aloud_once(parley, tabs):
    tab = await tabs.open(parley.page())
    await tab.open()
    spoken = tab.panel.get_by_role("log").locator("p")
    await tab.ask("Please answer slowly.")
    await expect(spoken.first).to_be_attached()
    assert await tab.whole.count() == 0, "it is read aloud while it is written"
    await tab.answered(1)
    sentences = [text.strip() for text in await spoken.all_text_contents()]
    assert all(sentence.endswith(".") for sentence in sentences), "a part of a sentence"
    assert bare("".join(sentences)) == bare(LONG_ANSWER)
    await tab.page.reload()
    await tab.open()
    await tab.answered(1)
    await expect(spoken).to_have_count(0)  # what was there before is no news
