"""What the sample shop sells and says: goods.toml, words.toml and the passages of sites.toml.

Read once, when `parley demo` imports the shop; nobody else does.
"""

import re
import tomllib
from importlib import resources

import msgspec

from service.core.model import Passage, Site

FILES = resources.files("service.demo")
LANGUAGES = ("en", "zh", "ar", "de")  # of the shop's own pages; the first has no prefix
FREE_FROM_CENTS = 7500  # shipping within Germany; as the facts say
SHIPPING_CENTS = 490
FEW = 10  # pieces left that a page calls few

Words = dict[str, str]  # language -> text


class Colour(msgspec.Struct, frozen=True):
    """``hex`` is the paint of the drawing."""

    name: Words
    hex: str


class Good(msgspec.Struct, frozen=True):
    """One thing on sale: ``cents`` of a euro, ``stock`` in pieces, the first colour in front."""

    slug: str
    cents: int
    colours: tuple[str, ...]
    sizes: tuple[str, ...]
    stock: int
    tint: str
    name: Words
    kind: Words
    text: Words
    details: dict[str, list[str]]


class _Goods(msgspec.Struct, frozen=True):
    colours: dict[str, Colour]
    goods: list[Good]


class _Sites(msgspec.Struct, frozen=True):
    site: list[Site]


def _read(name: str) -> object:
    return tomllib.loads((FILES / name).read_text("utf-8"))


_STOCK = msgspec.convert(_read("goods.toml"), _Goods)
_WORDS = msgspec.convert(_read("words.toml"), dict[str, Words])
COLOURS: dict[str, Colour] = _STOCK.colours
GOODS: dict[str, Good] = {good.slug: good for good in _STOCK.goods}
SITE: Site = msgspec.convert(_read("sites.toml"), _Sites).site[0]


def say(key: str, language: str, **values: object) -> str:
    """A text of words.toml, placeholders filled."""
    return _WORDS[key][language].format_map(values)


def price(cents: int, language: str) -> str:
    """``cents`` as the language writes an amount: "€189.00", "189,00 €"."""
    amount = f"{cents // 100}.{cents % 100:02}"
    return f"{amount.replace('.', ',')} €" if language == "de" else f"€{amount}"


def policies() -> list[Passage]:
    """The facts that are about the shop, not about one of its goods, in their order."""
    names = {good.name["en"] for good in GOODS.values()}
    return [passage for passage in SITE.facts if passage.title["en"] not in names]


def anchor(passage: Passage) -> str:
    """What a link to ``passage`` ends in, the same in all languages: "sizes"."""
    return re.sub(r"[^a-z0-9]+", "-", passage.title["en"].lower()).strip("-")
