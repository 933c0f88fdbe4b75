"""The sample shop's pages, as text. Plain HTML, one stylesheet, no script but the widget's.

Every value is escaped on its way in; what is asked for in a query only ever selects something that
the shop has. `data-tint` and the drawings carry the colours, so that no page needs inline styles.
"""

from html import escape

import msgspec

from service.demo.frame import Visit, document, drawing
from service.demo.goods import (
    COLOURS,
    FEW,
    FREE_FROM_CENTS,
    GOODS,
    SHIPPING_CENTS,
    SITE,
    Good,
    anchor,
    policies,
    price,
)


def home(visit: Visit) -> str:
    """The front page: hero, reasons, all goods, the story."""
    w = visit.words
    reasons = "".join(
        f'<li><img src="{visit.art(f"icon-{icon}")}" alt="" width="32" height="32">'
        f"<div><strong>{w(f'reason_{n}')}</strong><span>{w(f'reason_{n}_text')}</span></div></li>"
        for n, icon in enumerate(("truck", "return", "shield", "chat"), 1)
    )
    return document(
        visit,
        title=w("home_title"),
        main=f"""
<section class="hero"><div class="hero-words">
<p class="over">{w("hero_over")}</p>
<h1>{w("hero_title")}</h1>
<p>{w("hero_text")}</p>
<p class="buttons"><a class="button light" href="#goods">{w("hero_button")}</a>
<a class="quiet" href="{visit.to("/about")}">{w("hero_link")}</a></p>
</div></section>
<ul class="reasons">{reasons}</ul>
<section class="goods" id="goods"><header><h2>{w("favourites")}</h2>
<p>{w("favourites_text")}</p></header>
{_grid(visit, list(GOODS.values()))}</section>
{_story(visit)}""",
    )


def product(visit: Visit, good: Good, colour: str) -> str:
    """One of the goods, drawn in ``colour``."""
    w, language = visit.words, visit.language
    others = [other for other in GOODS.values() if other is not good]
    at = list(GOODS).index(good.slug)
    details = "".join(f"<li>{escape(line)}</li>" for line in good.details[language])
    return document(
        visit,
        title=good.name[language],
        main=f"""
<nav class="crumbs" aria-label="{w("goods")}"><a href="{visit.to("/")}#goods">{w("goods")}</a>
<span aria-hidden="true">/</span> <span>{escape(good.name[language])}</span></nav>
<article class="product">
<div class="stage" data-tint="{good.tint}">{_badge(visit, good)}
<img src="{drawing(good, colour)}" alt="{escape(_described(good, colour, language))}" width="560"
 height="560"></div>
<div class="facts"><p class="over">{escape(good.kind[language])}</p>
<h1>{escape(good.name[language])}</h1>
<p class="price"><span dir="ltr">{price(good.cents, language)}</span>
<small>{w("vat")}</small></p>
<p class="lead">{escape(good.text[language])}</p>
{_choice(visit, good, colour)}
<h2>{w("details")}</h2><ul class="details">{details}</ul>
<p class="ask"><img src="{visit.art("icon-chat")}" alt="" width="28" height="28">
<span>{w("ask")}</span></p>
</div></article>
<section class="goods"><header><h2>{w("also")}</h2></header>
{_grid(visit, (others[at:] + others[:at])[:4])}</section>""",
    )


def rules(visit: Visit) -> str:
    """Shipping, returns and the rest: the passages that the assistant answers from."""
    w, language = visit.words, visit.language
    links = "".join(
        f'<li><a href="#{anchor(passage)}">{escape(passage.title[language])}</a></li>'
        for passage in policies()
    )
    sections = "".join(
        f'<section id="{anchor(passage)}"><h2>{escape(passage.title[language])}</h2>'
        f"<p>{escape(passage.text[language])}</p></section>"
        for passage in policies()
    )
    return document(
        visit,
        title=w("policies"),
        main=f"""
<header class="page"><h1>{w("policies")}</h1><p class="lead">{w("policies_text")}</p></header>
<div class="policies"><nav aria-label="{w("contents")}"><h2>{w("contents")}</h2>
<ul>{links}</ul></nav>
<div class="passages">{sections}</div></div>""",
    )


def about(visit: Visit) -> str:
    """Who the shop is, and how to reach it."""
    w, language = visit.words, visit.language
    contact = next(p for p in policies() if SITE.contact in p.text["en"])
    return document(
        visit,
        title=w("about"),
        main=f"""
<header class="page"><h1>{w("about_title")}</h1><p class="lead">{w("about_text")}</p></header>
<img class="wide" src="{visit.art("cabin")}" alt="" width="1120" height="520">
<div class="columns"><section><h2>{w("story_title")}</h2><p>{w("story_text")}</p></section>
<section id="contact"><h2>{w("contact")}</h2><p>{escape(contact.text[language])}</p>
<p><a class="button" href="mailto:{SITE.contact}">{SITE.contact}</a></p></section></div>""",
    )


def basket(visit: Visit, good: Good | None, colour: str, size: str) -> str:
    """The basket with at most one thing in it: the shop keeps nothing between two requests."""
    w = visit.words
    inside = (
        _bill(visit, good, colour, size)
        if good
        else f'<p class="lead">{w("empty_basket")}</p>'
        f'<p><a class="button" href="{visit.to("/")}#goods">{w("keep_looking")}</a></p>'
    )
    header = f'<header class="page"><h1>{w("basket")}</h1></header>'
    return document(visit, title=w("basket"), main=f'{header}<div class="basket">{inside}</div>')


def lost(visit: Visit) -> str:
    """For an address that the shop does not have."""
    w = visit.words
    return document(
        msgspec.structs.replace(visit, page="/"),
        title=w("lost_title"),
        main=f"""
<header class="page"><h1>{w("lost_title")}</h1><p class="lead">{w("lost_text")}</p>
<p><a class="button" href="{visit.to("/")}">{w("home")}</a></p></header>""",
    )


# -- parts ----------------------------------------------------------------------------------


def _grid(visit: Visit, goods: list[Good]) -> str:
    return f'<ul class="grid">{"".join(_card(visit, good) for good in goods)}</ul>'


def _card(visit: Visit, good: Good) -> str:
    language = visit.language
    return f"""
<li><a class="card" href="{visit.to(f"/products/{good.slug}")}">
<div class="stage" data-tint="{good.tint}">{_badge(visit, good)}
<img src="{drawing(good, good.colours[0])}" alt="" width="300" height="300"></div>
<div class="line"><h3>{escape(good.name[language])}</h3>
<span class="price" dir="ltr">{price(good.cents, language)}</span></div>
<p>{escape(good.kind[language])}</p>
<p class="muted">{visit.words("colour_count", n=len(good.colours))}</p></a></li>"""


def _badge(visit: Visit, good: Good) -> str:
    if good.stock > FEW:
        return ""
    word = "few_left" if good.stock else "sold_out"
    return f'<span class="badge {word}">{visit.words(word)}</span>'


def _choice(visit: Visit, good: Good, colour: str) -> str:
    """Colour, size and the button to the basket."""
    w, language = visit.words, visit.language
    swatches = "".join(
        f'<li><a href="?colour={name}"{" aria-current=true" if name == colour else ""}>'
        f'<img src="{visit.art(f"colour-{name}")}" alt="" width="26" height="26">'
        f"{escape(COLOURS[name].name[language])}</a></li>"
        for name in good.colours
    )
    sizes = "".join(f"<option>{escape(size)}</option>" for size in good.sizes)
    size = f'<label>{w("size")} <select name="size">{sizes}</select></label>' if sizes else ""
    stock = w("in_stock", n=good.stock) if good.stock else w("soon_back")
    return f"""
<h2 class="label">{w("colour")}</h2><ul class="swatches">{swatches}</ul>
<form class="buy" action="{visit.to("/basket")}" method="get">
<input type="hidden" name="item" value="{good.slug}">
<input type="hidden" name="colour" value="{colour}">{size}
<button class="button" type="submit"{"" if good.stock else " disabled"}>{w("add")}</button></form>
<p class="stock{"" if good.stock else " none"}">{stock}</p>"""


def _described(good: Good, colour: str, language: str) -> str:
    return f"{good.name[language]}, {COLOURS[colour].name[language]}"


def _bill(visit: Visit, good: Good, colour: str, size: str) -> str:
    w, language = visit.words, visit.language
    shipping = 0 if good.cents >= FREE_FROM_CENTS else SHIPPING_CENTS
    chosen = ", ".join(filter(None, (COLOURS[colour].name[language], size)))
    rows = (
        (w("subtotal"), price(good.cents, language)),
        (w("shipping"), price(shipping, language) if shipping else w("free")),
        (w("total"), price(good.cents + shipping, language)),
    )
    sums = "".join(f"<div><dt>{name}</dt><dd><bdi>{value}</bdi></dd></div>" for name, value in rows)
    return f"""
<div class="item"><div class="stage" data-tint="{good.tint}">
<img src="{drawing(good, colour)}" alt="" width="160" height="160"></div>
<div><h2><a href="{visit.to(f"/products/{good.slug}")}">{escape(good.name[language])}</a></h2>
<p class="muted">{escape(chosen)}</p></div>
<span class="price" dir="ltr">{price(good.cents, language)}</span></div>
<dl class="sums">{sums}</dl>
<p class="note">{w("checkout")}</p>
<p><a class="quiet" href="{visit.to("/")}#goods">{w("keep_looking")}</a></p>"""


def _story(visit: Visit) -> str:
    w = visit.words
    return f"""
<section class="story"><img src="{visit.art("cabin")}" alt="" width="640" height="480">
<div><p class="over">{w("story_over")}</p><h2>{w("story_title")}</h2>
<p>{w("story_text")}</p>
<p><a class="button" href="{visit.to("/about")}">{w("story_link")}</a></p></div></section>"""
