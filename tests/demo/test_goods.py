"""The sample shop's goods, words and facts: complete, and of one mind."""

import re
import tomllib
from pathlib import Path

import pytest

import service.demo
from service.core.languages import LANGUAGES as ALL_LANGUAGES
from service.core.languages import guess
from service.demo.goods import (
    COLOURS,
    FREE_FROM_CENTS,
    GOODS,
    LANGUAGES,
    SHIPPING_CENTS,
    SITE,
    Good,
    anchor,
    policies,
    price,
    say,
)
from service.sites import load_sites

FOLDER = Path(service.demo.__file__).parent
WORDS = tomllib.loads((FOLDER / "words.toml").read_text("utf-8"))
EVERY = [(good, language) for good in GOODS.values() for language in LANGUAGES]
PLACES = ("Germany", "European Union", "Norway", "Switzerland", "United Kingdom", "USA", "China")
TOPICS = ("Returns", "Exchange", "Refunds", "Sizes", "Payment", "Warranty", "Care", "Gift cards",
          "Opening hours", "Order status", "tracking")  # fmt: skip


def fact(good: Good, language: str) -> str:
    [passage] = [passage for passage in SITE.facts if passage.title["en"] == good.name["en"]]
    assert passage.title[language] == good.name[language]
    return passage.text[language]


def amount(cents: int, language: str) -> str:
    return f"{cents / 100:.2f}".replace(".", "," if language == "de" else ".")


def test_the_declaration_is_one_that_the_server_takes():
    sites = load_sites(FOLDER / "sites.toml", frame_bytes=16_384)
    assert list(sites) == ["pk_demo"]
    assert sites["pk_demo"] == SITE
    assert SITE.languages == LANGUAGES
    assert set(LANGUAGES) <= set(ALL_LANGUAGES)
    assert SITE.contact and SITE.hours and SITE.persona.strip() and SITE.tone.strip()


def test_every_passage_has_its_title_and_text_in_all_four_languages():
    assert len(SITE.facts) >= 14 + len(GOODS) - 1
    for passage in SITE.facts:
        assert tuple(passage.title) == tuple(passage.text) == LANGUAGES
        for language in LANGUAGES:
            assert passage.text[language] == passage.text[language].strip()
            assert guess(passage.text[language], prior="en") == language


def test_no_two_passages_have_the_same_title():
    for language in LANGUAGES:
        titles = [passage.title[language] for passage in SITE.facts]
        assert len(set(titles)) == len(titles)
    assert len({anchor(passage) for passage in policies()}) == len(policies())


def test_the_facts_speak_of_every_place_and_topic():
    said = " ".join(p.title["en"] + " " + p.text["en"] for p in policies())
    for wanted in PLACES + TOPICS + ("Gulf states", "Saudi Arabia", "Emirates"):
        assert wanted in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_names_the_same_numbers(language: str):
    def numbers(text: str) -> list[str]:
        found = re.findall(r"\d+(?:[.,:]\d+)*", text)
        return sorted(number.replace(",", ".") for number in found)

    for passage in policies():
        there, here = numbers(passage.text["en"]), numbers(passage.text[language])
        # "2 hours" is one word in Arabic, the dual; "2 years" likewise.
        missing = {number for number in there if there.count(number) > here.count(number)}
        assert missing <= ({"2"} if language == "ar" else set()), passage.title["en"]
        assert set(here) <= set(there), passage.title["en"]


@pytest.mark.parametrize(("good", "language"), EVERY)
def test_the_fact_about_a_good_names_the_price_of_its_page(good: Good, language: str):
    assert re.findall(r"\d+[.,]\d\d(?= €| 欧元| يورو)|(?<=€)\d+\.\d\d", fact(good, language)) == [
        amount(good.cents, language)
    ]


@pytest.mark.parametrize(("good", "language"), EVERY)
def test_the_fact_about_a_good_names_exactly_its_colours(good: Good, language: str):
    text = fact(good, language).lower()
    named = {key for key, colour in COLOURS.items() if colour.name[language].lower() in text}
    if language == "ar" and "forest" in good.colours:
        named -= {"red"} - set(good.colours)
    assert named == set(good.colours)


@pytest.mark.parametrize(("good", "language"), EVERY)
def test_the_fact_about_a_good_names_all_its_sizes(good: Good, language: str):
    text = fact(good, language)
    for size in good.sizes:
        assert re.search(rf"(?<![A-Z0-9]){size}(?![A-Z0-9])", text), size


@pytest.mark.parametrize(("good", "language"), EVERY)
def test_the_fact_about_a_good_tells_the_stock(good: Good, language: str):
    before = {"en": "In stock: ", "zh": "库存：", "ar": "المتوفر في المخزن: ", "de": "Auf Lager: "}
    assert re.search(re.escape(before[language]) + rf"{good.stock}(?!\d)", fact(good, language))


@pytest.mark.parametrize(("good", "language"), EVERY)
def test_the_fact_about_a_good_repeats_the_measures_of_its_details(good: Good, language: str):
    for measure in re.findall(r"\d+[.,]?\d* (?:g|kg|mm|ml|克|公斤|毫米|毫升|غ|كغ|ملم|مل)\b",
                              " ".join(good.details[language])):  # fmt: skip
        assert measure in fact(good, language)


@pytest.mark.parametrize("good", GOODS.values())
def test_a_good_is_described_in_all_four_languages(good: Good):
    for words in (good.name, good.kind, good.text, good.details):
        assert tuple(words) == LANGUAGES
    assert {len(lines) for lines in good.details.values()} == {4}
    assert good.cents > 0 and good.stock >= 0
    assert set(good.colours) <= set(COLOURS)
    assert (FOLDER / "art" / f"{good.slug}.svg").is_file()


def test_every_colour_has_a_name_in_all_four_languages_and_a_good_that_uses_it():
    used = {colour for good in GOODS.values() for colour in good.colours}
    assert set(COLOURS) == used
    for colour in COLOURS.values():
        assert tuple(colour.name) == LANGUAGES
        assert re.fullmatch(r"#[0-9a-f]{6}", colour.hex)


def test_the_basket_reckons_with_the_shipping_that_the_facts_tell():
    [passage] = [p for p in policies() if p.title["en"].startswith("Shipping in Germany")]
    for language in LANGUAGES:
        assert amount(SHIPPING_CENTS, language) in passage.text[language]
        assert amount(FREE_FROM_CENTS, language) in passage.text[language]


@pytest.mark.parametrize("key", WORDS)
def test_every_word_is_there_in_four_languages_with_the_same_gaps_and_is_used(key: str):
    assert tuple(WORDS[key]) == LANGUAGES
    gaps = {tuple(re.findall(r"{\w+}", text)) for text in WORDS[key].values()}
    assert len(gaps) == 1
    source = (FOLDER / "pages.py").read_text("utf-8") + (FOLDER / "frame.py").read_text("utf-8")
    assert re.search(rf"""["']{re.sub("[1-4]", "{n}", key, count=1)}["']""", source), "unused"


def test_words_fill_their_gaps():
    assert say("in_stock", "de", n=7) == "Auf Lager: 7"
    with pytest.raises(KeyError):
        say("in_stock", "de")


def test_a_price_is_written_as_its_language_writes_amounts():
    assert price(18900, "en") == price(18900, "ar") == "€189.00"
    assert price(1605, "de") == "16,05 €"
    assert price(5, "zh") == "€0.05"
