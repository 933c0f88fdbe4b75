"""What stands around every page of the sample shop: head, header, footer, and the chat's tag."""

import hashlib
from html import escape

import msgspec

from service.core.languages import direction
from service.demo.goods import FILES, LANGUAGES, SITE, Good, say

ACCENT = "#173f35"  # the launcher's colour; the shop's own green
# One version for all files: a changed file changes every address, so that browsers may keep them.
VERSION = hashlib.sha256(
    b"".join(
        entry.read_bytes()
        for entry in sorted((FILES / "art").iterdir(), key=lambda entry: entry.name)
    )
    + (FILES / "shop.css").read_bytes()
    + (FILES / "goods.toml").read_bytes()
).hexdigest()[:10]


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One request: the page's path without its language, and where the shop and Parley stand.

    ``parley`` is the origin of the widget, "" where it is the page's own; ``port`` (":8000" or "")
    is known where the shop is visited on this machine.
    """

    language: str
    page: str
    parley: str
    port: str | None

    def to(self, page: str, language: str | None = None) -> str:
        """The address of ``page`` in the visit's language, or another."""
        language = language or self.language
        return page if language == LANGUAGES[0] else f"/{language}{page}"

    def art(self, name: str) -> str:
        return f"/shop/art/{name}.svg?v={VERSION}"

    def words(self, key: str, **values: object) -> str:
        """A text of the shop, ready for HTML."""
        return escape(say(key, self.language, **values))


def drawing(good: Good, colour: str) -> str:
    """The address of the drawing of ``good`` in ``colour``."""
    return f"/shop/art/{good.slug}-{colour}.svg?v={VERSION}"


def document(visit: Visit, *, title: str, main: str) -> str:
    """A whole page. ``title`` is text ready for HTML, ``main`` is HTML."""
    w, language = visit.words, visit.language
    alternates = "".join(
        f'<link rel="alternate" hreflang="{code}" href="{visit.to(visit.page, code)}">'
        for code in LANGUAGES
    )
    return f"""<!doctype html>
<html lang="{language}" dir="{direction(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · {escape(SITE.name)}</title>
<meta name="description" content="{w("description")}">
<link rel="icon" type="image/svg+xml" href="{visit.art("logo")}">
<link rel="stylesheet" href="/shop/shop.css?v={VERSION}">
{alternates}
</head>
<body>
<a class="skip" href="#main">{w("skip")}</a>
{_header(visit)}
<main id="main">{main}</main>
{_footer(visit)}
<script async src="{visit.parley}/widget.js" data-site="{SITE.key}" data-locale="{language}"
 data-color="{ACCENT}"></script>
</body>
</html>
"""


def _header(visit: Visit) -> str:
    w = visit.words
    entries = ((f"{visit.to('/')}#goods", "goods"), (visit.to("/policies"), "policies"))
    links = "".join(
        f'<li><a href="{address}">{w(word)}</a></li>'
        for address, word in (*entries, (visit.to("/about"), "about"))
    )
    return f"""
<header><p class="ribbon">{w("ribbon")}</p>
<div class="top"><a class="brand" href="{visit.to("/")}">
<img src="{visit.art("logo")}" alt="" width="40" height="40"><span>Nordlicht</span></a>
<nav class="menu" aria-label="{w("menu")}"><ul>{links}</ul></nav>
{_languages(visit)}
<a class="to-basket" href="{visit.to("/basket")}">
<img src="{visit.art("icon-basket")}" alt="{w("basket")}" width="26" height="26"></a>
</div></header>"""


def _languages(visit: Visit) -> str:
    links = "".join(
        f'<li><a href="{visit.to(visit.page, code)}" hreflang="{code}" lang="{code}"'
        f"{' aria-current=true' if code == visit.language else ''}>"
        f"{escape(say('language', code))}</a></li>"
        for code in LANGUAGES
    )
    return f'<nav class="languages" aria-label="{visit.words("languages")}"><ul>{links}</ul></nav>'


def _footer(visit: Visit) -> str:
    w = visit.words
    return f"""
<footer class="end"><div class="inner">
<div><p class="brand"><img src="{visit.art("logo")}" alt="" width="36" height="36">
<span>{escape(SITE.name)}</span></p><p>Hafenstraße 12, 20457 Hamburg</p>
<p><a href="mailto:{SITE.contact}">{SITE.contact}</a></p></div>
<ul><li><a href="{visit.to("/policies")}">{w("policies")}</a></li>
<li><a href="{visit.to("/about")}">{w("about")}</a></li>
<li><a href="{visit.to("/about")}#contact">{w("contact")}</a></li></ul>
<div class="demo"><p>{w("demo")}</p>{_origins(visit)}</div>
</div></footer>"""


def _origins(visit: Visit) -> str:
    """Where else the demo can be tried, on the machine it runs on."""
    if visit.port is None:
        return ""
    same = f"http://127.0.0.1{visit.port}"
    foreign = f"http://shop.localhost{visit.port}"
    page = visit.to(visit.page)
    return (
        f'<p>{visit.words("demo_same")} <a dir="ltr" href="{same}{page}">{same}/</a><br>'
        f'{visit.words("demo_foreign")} <a dir="ltr" href="{foreign}{page}">{foreign}/</a></p>'
    )
