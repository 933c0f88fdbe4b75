"""Parley for shops of the tests' own making: what the model says and how fast, page by page."""

from dataclasses import dataclass
from typing import Any

from tests.browser.pages import Pages
from tests.support.instance import Instance, Simulator

SITE = "pk_shop"
SLOW = "slowly"  # a question with this word is answered at this many model tokens a second
SLOWLY = 40
ANSWER = "We ship to **Norway** in 5 days, and it costs 12 euro."
LONG_ANSWER = " ".join(f"Sentence number {number} is part of a long answer." for number in range(9))


@dataclass(frozen=True)
class Parley:
    """A running instance, its model, and a web server for pages that embed it."""

    instance: Instance
    simulator: Simulator
    pages: Pages

    @property
    def url(self) -> str:
        """Parley's own origin."""
        return self.instance.url

    def reset(self) -> None:
        """No pages, and a model that answers long and slowly exactly when it is asked to."""
        self.pages.clear()
        self.simulator.control(
            reset=True,
            scripts=[{"match": SLOW, "text": LONG_ANSWER}, {"match": "", "text": ANSWER}],
            faults=[{"kind": "pace", "match": SLOW, "tokens_per_second": SLOWLY, "times": -1}],
        )

    def tag(self, *, site: str = SITE, nonce: str = "", **attributes: str) -> str:
        """The one tag that a shop puts on its pages."""
        given = {"nonce": nonce, "src": f"{self.url}/widget.js", "data-site": site}
        given |= {f"data-{name}": value for name, value in attributes.items()}
        words = " ".join(f'{name}="{value}"' for name, value in given.items() if value)
        return f"<script async {words}></script>"

    def page(self, path: str = "/", *, tag: str | None = None, head: str = "", **more: Any) -> str:
        """A page of the shop with the widget in it; its address."""
        return self.pages.add(path, head=head, body=self.tag() if tag is None else tag, **more)
