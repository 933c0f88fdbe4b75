"""What the server says to customers: complete, in the right language, with the right gaps."""

import string
import unicodedata

import pytest

from service.core import errors, permit_errors
from service.core.languages import LANGUAGES, guess
from service.core.texts import CODES, NO_CONTACT, SAME, TEXTS, notice, text

CODES_WITH_TEXT = sorted(TEXTS["en"])
PLACEHOLDERS = {
    "answer_failed": ["contact"],
    "handoff_unavailable": ["contact"],
    "rate_limited": ["seconds"],
    "queue_too_long": ["minutes"],
    "text_too_long": ["limit"],
}
LETTERS_OF = {
    "Hans": "CJK",
    "Jpan": ("CJK", "HIRAGANA", "KATAKANA"),
    "Kore": "HANGUL",
    "Latn": "LATIN",
    "Cyrl": "CYRILLIC",
    "Grek": "GREEK",
    "Arab": "ARABIC",
}
VALUES = {"contact": "help@shop.example", "seconds": 7, "minutes": 3, "limit": 2000}


def gaps(sentence: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None]


def subclasses(root: type[errors.ParleyError]) -> set[type[errors.ParleyError]]:
    return {leaf for child in root.__subclasses__() for leaf in subclasses(child) or {child}}


def test_every_language_has_every_text():
    for language in LANGUAGES:
        assert list(TEXTS[language]) == list(TEXTS["en"]), language


def test_every_code_that_a_customer_can_be_given_has_a_text():
    roots = (errors.CommandRefused, errors.SocketRefused, errors.RequestRefused)
    codes = {leaf.code for root in roots for leaf in subclasses(root)}
    codes |= {errors.ParleyError.code, permit_errors.QueueTooLong.code}
    codes |= {permit_errors.PermitTimeout.code}
    assert len(codes) > 20
    assert codes <= CODES


def test_shared_texts_point_at_texts_and_shadow_none():
    assert set(SAME.values()) <= set(TEXTS["en"])
    assert not set(SAME) & set(TEXTS["en"])
    for code in SAME:
        assert text(code, "fi", **VALUES) == text(SAME[code], "fi", **VALUES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_the_placeholders_of_its_code(language: str):
    for code in CODES_WITH_TEXT:
        assert gaps(TEXTS[language][code]) == PLACEHOLDERS.get(code, []), code


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_a_sentence_and_none_says_what_another_says(language: str):
    sentences = list(TEXTS[language].values())
    assert len(set(sentences)) == len(sentences)
    for sentence in sentences:
        assert sentence == unicodedata.normalize("NFC", sentence.strip())
        assert len(sentence) >= 7
        assert "  " not in sentence
        assert sentence.endswith((".", "。", "{contact}")), sentence


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_in_the_script_of_its_language(language: str):
    wanted = LETTERS_OF[LANGUAGES[language].script]
    for code, sentence in TEXTS[language].items():
        plain = "".join(part for part, *_ in string.Formatter().parse(sentence))
        for letter in filter(str.isalpha, plain):
            assert unicodedata.name(letter).startswith(wanted), (code, letter)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_texts_together_read_as_their_language(language: str):
    guesses = [guess(sentence, prior="en") for sentence in TEXTS[language].values()]
    assert max(LANGUAGES, key=guesses.count) == language, guesses


def test_no_language_repeats_another_ones_sentence():
    seen: dict[str, str] = {}
    for language, sentences in TEXTS.items():
        for sentence in sentences.values():
            assert seen.setdefault(sentence, language) == language, sentence


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_can_be_said_with_its_values_filled_in(language: str):
    for code in CODES:
        said = text(code, language, **VALUES)
        assert "{" not in said
        assert "}" not in said
        for name in PLACEHOLDERS.get(SAME.get(code, code), []):
            assert str(VALUES[name]) in said


def test_a_missing_value_an_unknown_code_and_an_unknown_language_are_key_errors():
    with pytest.raises(KeyError, match="seconds"):
        text("rate_limited", "de")
    with pytest.raises(KeyError, match="no_such_code"):
        text("no_such_code", "de")
    with pytest.raises(KeyError, match="de-AT"):
        text("internal", "de-AT")


def test_values_that_a_text_does_not_use_are_ignored():
    assert text("internal", "de", **VALUES) == text("internal", "de")


def test_braces_in_a_contact_stay_as_they_are():
    assert text("answer_failed", "en", contact="{seconds} {0.__class__}").endswith(
        "here: {seconds} {0.__class__}"
    )


def test_a_notice_offers_the_contact_where_there_is_one():
    for language in LANGUAGES:
        for code in ("answer_failed", "handoff_unavailable"):
            assert notice(code, language, " help@shop.example ").endswith("help@shop.example")
            assert notice(code, language) == notice(code, language, "  ")
            assert notice(code, language) == TEXTS[language][code + NO_CONTACT]


@pytest.mark.parametrize("contact", ["+49 30 1234-567", "(030) 1234567", "030/1234567"])
def test_a_telephone_number_keeps_its_direction_among_right_to_left_words(contact: str):
    assert notice("answer_failed", "ar", contact).endswith(f"\u2068{contact}\u2069")
    assert notice("answer_failed", "fa", contact).endswith(f"\u2068{contact}\u2069")
    assert notice("answer_failed", "de", contact).endswith(f" {contact}")


@pytest.mark.parametrize("contact", ["help@shop.example", "https://shop.example/help", "واتساب"])
def test_an_address_carries_no_invisible_marks(contact: str):
    assert notice("answer_failed", "ar", contact).endswith(f" {contact}")
    assert text("rate_limited", "ar", seconds=30).count("\u2068") == 0
