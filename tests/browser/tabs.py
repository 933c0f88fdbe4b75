"""A customer's tab: the shop's page, the panel in it, and a record of all that the browser did.

A tab remembers whatever went wrong (script errors, violations of any policy, dialogs, requests to
strangers), and `Tabs.close` fails the test that did not announce it with `tab.expects`.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Dialog, Frame, Page, expect

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
SIZE: Any = {"width": 1200, "height": 800}

# In every document, before its own scripts: a policy's violation becomes a line on the console.
VIOLATIONS = """
addEventListener('securitypolicyviolation', (event) =>
  console.error(`violation of ${event.effectiveDirective} by ${event.blockedURI} ${event.sample}`));
"""
# The texts that the answer with this number has had on the screen, in order.
GROWTH = """
(number) => {
  const seen = (window.growth = []);
  new MutationObserver(() => {
    const text = document.querySelectorAll('.row.assistant')[number]?.querySelector('.text');
    if (text && text.textContent !== (seen.at(-1) ?? '')) seen.push(text.textContent);
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}
"""


class Tab:
    """One page with the widget in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.sockets: list[str] = []
        self.trouble: list[str] = []
        self._expected: list[str] = []
        self.launcher = page.locator("parley-chat button")
        self.panel = page.frame_locator("parley-chat iframe")
        self.composer = self.panel.locator("textarea")
        self.questions = self.panel.locator(".row.customer .bubble")
        self.answers = self.panel.locator(".row.assistant .text")
        self.whole = self.panel.locator(".row.assistant .rating")  # only a whole answer is rated
        self.stopper = self.panel.get_by_role("button", name="Stop the answer")
        page.on("request", lambda request: self._requested(request.url))
        page.on("websocket", lambda socket: self.sockets.append(socket.url))
        page.on("pageerror", lambda error: self.trouble.append(f"page error: {error}"))
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("dialog", self._dialog)

    def expects(self, *patterns: str) -> None:
        """Trouble of this kind is what the test is about."""
        self._expected += patterns

    def unexpected(self) -> list[str]:
        return [
            trouble
            for trouble in self.trouble
            if not any(re.search(pattern, trouble) for pattern in self._expected)
        ]

    def _requested(self, url: str) -> None:
        self.requests.append(url)
        host = urlsplit(url).hostname or ""
        if urlsplit(url).scheme != "data" and host != "127.0.0.1" and "localhost" not in host:
            self.trouble.append(f"request to a stranger: {url}")

    def _said(self, kind: str, text: str) -> None:
        if kind == "error":
            self.trouble.append(f"console: {text}")

    async def _dialog(self, dialog: Dialog) -> None:
        self.trouble.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    # -- what a customer does ---------------------------------------------------------------------

    async def open(self) -> None:
        """Click the launcher; returns when the caret is in the composer."""
        await self.launcher.click()
        await expect(self.composer).to_be_focused()

    async def ask(self, text: str) -> None:
        """Write and press Enter; returns when the question stands in the conversation."""
        before = await self.questions.count()
        await self.composer.fill(text)
        await self.composer.press("Enter")
        await expect(self.questions).to_have_count(before + 1)

    async def answered(self, count: int) -> str:
        """What the newest answer says, once ``count`` of them stand there whole."""
        await expect(self.whole).to_have_count(count)
        return await self.answers.nth(count - 1).inner_text()

    # -- what is on the screen --------------------------------------------------------------------

    @property
    def frame(self) -> Frame:
        """The panel's document."""
        return next(frame for frame in self.page.frames if "/panel?" in frame.url)

    async def said(self) -> list[str]:
        """What the customer has written, from the top."""
        return [
            text.removeprefix(await self._you()) for text in await self.questions.all_inner_texts()
        ]

    async def _you(self) -> str:
        mark = self.panel.locator(".row.customer .unseen").first
        return await mark.inner_text() + "\n" if await mark.count() else ""

    async def texts(self) -> list[str]:
        """All answers' texts, without the spaces that only layout puts between them."""
        return [bare(text) for text in await self.answers.all_text_contents()]

    async def watch_growth(self, number: int) -> Callable[[], Awaitable[list[str]]]:
        """From now on, keep each text that the answer ``number`` (from 0) has on the screen."""
        await self.frame.evaluate(GROWTH, number)

        async def seen() -> list[str]:
            return [str(text) for text in await self.frame.evaluate("() => window.growth")]

        return seen

    async def heard(self, name: str) -> list[object]:
        """What came with every event of this name so far, on a page with `pages.STUB`."""
        return [
            detail for event, detail in await self.page.evaluate("() => heard") if event == name
        ]

    async def has_heard(self, name: str, expected: list[object]) -> bool:
        return await self.heard(name) == expected

    async def caret_is_in_composer(self) -> bool:
        """Both documents agree: keys go into the panel's text field."""
        outside = await self.page.evaluate(
            "() => document.activeElement?.shadowRoot?.activeElement?.tagName"
        )
        inside = await self.frame.evaluate("() => document.activeElement.tagName")
        return bool(outside == "IFRAME" and inside == "TEXTAREA")


class Tabs:
    """All tabs of a test, each in a fresh context unless it is given one."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._tabs: list[Tab] = []

    async def context(self, browser: Browser | None = None, **options: Any) -> BrowserContext:
        """A fresh profile, of the common browser or another."""
        chosen = {"viewport": SIZE, "locale": "en-GB", **options}
        return await self.adopt(await (browser or self._browser).new_context(**chosen))

    async def adopt(self, context: BrowserContext) -> BrowserContext:
        """Watch over a context that was made elsewhere, and close it in the end."""
        self._contexts.append(context)
        await context.add_init_script(VIOLATIONS)
        return context

    async def open(self, url: str, context: BrowserContext | None = None, **options: Any) -> Tab:
        """A new tab on ``url``, once the widget has drawn its launcher."""
        tab = await self.blank(context, **options)
        await tab.page.goto(url)
        await tab.launcher.wait_for()
        return tab

    async def blank(self, context: BrowserContext | None = None, **options: Any) -> Tab:
        """A new tab with nothing in it."""
        tab = Tab(await (context or await self.context(**options)).new_page())
        self._tabs.append(tab)
        return tab

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()
        trouble = [line for tab in self._tabs for line in tab.unexpected()]
        assert not trouble, "in the browser:\n" + "\n".join(trouble)


def bare(text: str) -> str:
    """A text without white space and without Markdown's marks: what two renderings share."""
    return re.sub(r"[\s*_]", "", text)
