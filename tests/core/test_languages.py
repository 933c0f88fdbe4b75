"""The list of languages, the lookup of tags, and the guess at a message's language."""

import json
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.language_marks import OWN_LETTERS, PIECES, SHARED_LETTERS, WORDS
from service.core.languages import CHARACTERS_READ, LANGUAGES, direction, guess, match

SAMPLES = Path(__file__).parent / "samples"
MESSAGES: dict[str, dict[str, list[str]]] = json.loads((SAMPLES / "messages.json").read_text())
PROSE: dict[str, str] = json.loads((SAMPLES / "languages.json").read_text())
ALL = tuple(LANGUAGES)


def wrong(kind: str, prior: str) -> list[str]:
    return [
        f"{code}: {guess(text, prior=prior)}: {text}"
        for code, texts in MESSAGES.items()
        for text in texts[kind]
        if guess(text, prior=prior) != code
    ]


# -- the list -------------------------------------------------------------------------------


def test_the_list_has_the_26_languages_of_the_model():
    expected = "zh en ru es de fr it pt pl ja nl ar tr cs vi fa hu el ro sv uk fi ko da bg no"
    assert list(LANGUAGES) == expected.split()
    assert all(code == entry.code for code, entry in LANGUAGES.items())


def test_only_arabic_and_persian_run_from_right_to_left():
    assert [code for code in LANGUAGES if direction(code) == "rtl"] == ["ar", "fa"]


def test_direction_takes_a_tag_and_calls_an_unknown_one_left_to_right():
    assert direction("fa-IR") == "rtl"
    assert direction("tlh") == "ltr"
    assert direction("") == "ltr"


def test_every_own_name_is_written_in_the_script_that_the_list_says():
    prefixes = {
        "Hans": ("CJK",),
        "Jpan": ("CJK", "HIRAGANA", "KATAKANA"),
        "Kore": ("HANGUL",),
        "Latn": ("LATIN",),
        "Cyrl": ("CYRILLIC",),
        "Grek": ("GREEK",),
        "Arab": ("ARABIC",),
    }
    for entry in LANGUAGES.values():
        for letter in filter(str.isalpha, entry.own):
            assert unicodedata.name(letter).startswith(prefixes[entry.script]), entry


def test_the_marks_name_only_languages_of_the_list_and_no_word_twice():
    named = {*WORDS, *OWN_LETTERS}
    named.update(
        code for table in (SHARED_LETTERS, PIECES) for row in table.values() for code in row
    )
    assert named <= set(LANGUAGES)
    for words in WORDS.values():
        assert len(words.split()) == len(set(words.split()))
        assert words == words.lower() == unicodedata.normalize("NFC", words)


# -- the lookup of a tag --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("zh-Hant-TW", "zh"),
        ("zh_CN", "zh"),
        ("ZH", "zh"),
        ("nb-NO", "no"),
        ("nn", "no"),
        ("no", "no"),
        ("pt-BR", "pt"),
        ("de-CH-1996", "de"),
        ("fa-AF", "fa"),
        ("prs", "fa"),
        ("uk-UA-u-nu-latn", "uk"),
        (" fr ", "fr"),
    ],
)
def test_a_tag_finds_its_language(tag: str, code: str):
    assert match(tag, ALL, "en") == code


@pytest.mark.parametrize(
    "tag",
    [None, "", "-", "--", "xx", "tlh-Latn", "*", "de;q=0.5", "e" * 65, "d\u0435", "../zh", "zh-\n"],
)
def test_what_is_no_known_tag_gives_the_default(tag: str | None):
    assert match(tag, ALL, "ko") == "ko"


def test_a_tag_finds_only_what_the_site_speaks():
    assert match("fr-CA", ["de", "en"], "en") == "en"
    assert match("de-AT", ["de", "en"], "en") == "de"


def test_the_longest_entry_wins_and_keeps_its_spelling():
    among = ["zh", "zh-Hant", "pt-BR"]
    assert match("zh-hant-TW", among, "zh") == "zh-Hant"
    assert match("zh-Hans-CN", among, "pt-BR") == "zh"
    assert match("PT-br", among, "zh") == "pt-BR"
    assert match("pt-PT", among, "zh") == "zh"


def test_a_site_that_lists_the_alias_itself_is_found_by_it():
    assert match("nb-NO", ["no", "nb"], "en") == "nb"


# -- the guess ------------------------------------------------------------------------------


def test_the_sample_has_three_sentences_and_three_questions_a_language():
    assert set(MESSAGES) == set(LANGUAGES) == set(PROSE)
    for texts in MESSAGES.values():
        assert len(texts["sentences"]) == len(texts["questions"]) == 3


@pytest.mark.parametrize("prior", LANGUAGES)
def test_nearly_every_sentence_is_recognised_whatever_the_prior(prior: str):
    assert len(wrong("sentences", prior)) <= 78 * 0.05, wrong("sentences", prior)


@pytest.mark.parametrize("prior", LANGUAGES)
def test_nine_of_ten_short_questions_are_recognised_whatever_the_prior(prior: str):
    assert len(wrong("questions", prior)) <= 78 * 0.1, wrong("questions", prior)


@pytest.mark.parametrize("code", LANGUAGES)
def test_running_prose_of_each_language_is_recognised_line_by_line(code: str):
    lines = [line for line in PROSE[code].split("\n") if len(line) >= 40]
    right = [guess(line, prior="en") for line in lines].count(code)
    assert right >= 0.9 * len(lines)


@pytest.mark.parametrize("prior", LANGUAGES)
def test_the_script_of_the_guess_is_the_script_of_the_text(prior: str):
    for code, texts in MESSAGES.items():
        for text in texts["sentences"] + texts["questions"]:
            assert LANGUAGES[guess(text, prior=prior)].script == LANGUAGES[code].script, text


@pytest.mark.parametrize(
    "text",
    ["", "   ", "ok", ":-)", "👍", "10293", "A-10293", "NL-20418-7", "https://de.example.com/wo-ist-das",
     "kunde@das-und-die.de", "#der @die", "+49 30 1234567", "€ 4,90", "Nordlicht", "Zrxqv Klmbn"],
)  # fmt: skip
def test_what_says_nothing_about_its_language_keeps_the_prior(text: str):
    assert [guess(text, prior=prior) for prior in ("zh", "de", "ar")] == ["zh", "de", "ar"]


def test_a_link_or_an_order_number_does_not_hide_the_sentence_around_it():
    assert (
        guess("Wo ist NL-20418-7? https://shop.example/en/where-is-the-order", prior="en") == "de"
    )
    assert guess("我的订单 NL-20418-7 在哪里 https://shop.example/en/where", prior="en") == "zh"
    assert guess("返金には最長で5日ほどかかります。", prior="en") == "ja"


def test_a_brand_name_in_latin_letters_does_not_turn_the_script():
    assert guess("这件 Nordlicht Parka 有蓝色的吗", prior="en") == "zh"
    assert guess("есть ли Nordlicht Parka синяя?", prior="en") == "ru"
    assert guess("هل Nordlicht متوفر باللون الأزرق؟", prior="en") == "ar"


def test_one_borrowed_kana_does_not_make_chinese_japanese():
    assert guess("北欧の家居生活馆现在发货吗", prior="en") == "zh"


def test_a_japanese_word_without_kana_follows_a_japanese_prior_only():
    assert guess("返品", prior="ja") == "ja"
    assert guess("返品", prior="zh") == "zh"
    assert guess("返品", prior="en") == "zh"


def test_a_script_without_known_words_excludes_a_prior_of_another_script():
    assert guess("Владислав", prior="en") == "ru"
    assert guess("Владислав", prior="bg") == "bg"
    assert guess("محمد", prior="en") == "ar"
    assert guess("محمد", prior="fa") == "fa"


def test_accents_may_be_left_out():
    assert guess("jak dlugo trwa wysylka do Norwegii, prosze", prior="en") == "pl"
    assert guess("cuanto cuesta el envio?", prior="en") == "es"
    assert guess("moj balik jeste neprisel, muzete to zkontrolovat", prior="en") == "cs"


def test_a_text_in_decomposed_letters_reads_like_the_composed_one():
    text = "Où est ma commande ? Elle n'est pas arrivée."
    assert guess(unicodedata.normalize("NFD", text), prior="en") == "fr"


@given(st.text(max_size=300), st.sampled_from(ALL))
def test_any_text_gives_a_language_of_the_list_and_the_same_again(text: str, prior: str):
    first = guess(text, prior=prior)
    assert first in LANGUAGES
    assert guess(text, prior=prior) == first


@pytest.mark.parametrize(
    "piece", ["x", "1", "a-", "@", "a@", "http://", "#a", "A-", "ä", "دا ", "你", "'a"]
)
def test_no_text_makes_the_guess_slow(piece: str):
    text = piece * (4000 // len(piece))
    guess(text, prior="en")
    best = min(_seconds(text) for _ in range(5))
    assert best < 0.01  # some 0.3 ms when idle; a quadratic pattern needs 20 ms and more


def test_only_the_beginning_of_a_long_text_is_read():
    assert guess("x " * CHARACTERS_READ + "Wo ist mein Paket?", prior="en") == "en"


def test_a_short_message_costs_less_than_fifty_microseconds():
    texts = [text for kinds in MESSAGES.values() for text in kinds["questions"]]
    best = min(_seconds(*texts) for _ in range(7))
    assert best / len(texts) < 50e-6


def _seconds(*texts: str) -> float:
    begin = time.perf_counter()
    for text in texts:
        guess(text, prior="en")
    return time.perf_counter() - begin
