"""Sentences: where one ends, and what a letter, a mark or a capital says about it."""

import json
from pathlib import Path

import pytest

from service.core.sentences import (
    capitalises,
    clings,
    combines,
    ends_line,
    first_letter,
    is_open,
    mark_of,
    spaceless,
    starts_word,
    weight,
)

SAMPLES = json.loads((Path(__file__).parent / "samples" / "languages.json").read_text("utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "", "It is.", "Is it?", "It is!", "It is…", "它是。", "是吗？", "好！", "هل هو؟", "Είναι;",
        "It is. ", "It is.\n", "It is)\n", "A heading\n", "It is.”", "„Es ist.“", "« Oui. »",
        "(It is.)",
        "「そうです。」", "**It is.**", "_It is._ ", "It is 🙂", "It is 👍🏽", "It is ❤️",
        "It is :)", "It is :-(",
        "It costs 4.90.", "See https://www.example.com.", "It is 30.",
    ],
)  # fmt: skip
def test_a_sentence_is_over(text):
    assert not is_open(text)


@pytest.mark.parametrize(
    "text",
    [
        "It", "It is,", "It is;", "It is:", "It is -", "It is (", "它是，", "Wir liefern z. B.",
        "Wir liefern z.B.", "We ship, e.g.", "at 5 p.m.", "Mr.", "bzw.", "ca.", "J. ", "т. е.",
        "т.е.", "напр.", "π.χ.", "např.", "pl.", "f.eks.", "https://example", "It costs 4",
        "**It is",
        "“It is”", "It is\u00a0",
    ],
)  # fmt: skip
def test_a_sentence_is_open(text):
    assert is_open(text)


@pytest.mark.parametrize("code", SAMPLES)
def test_every_paragraph_of_every_language_is_whole_and_no_beginning_of_one_is(code):
    for line in SAMPLES[code].split("\n"):
        assert not is_open(line)
        assert is_open(line[: len(line) // 2].rstrip(" .。?？!！:)") + "x")


@pytest.mark.parametrize(
    "text, over",
    [("## Sizes", True), ("1. Small", True), ("| a | b |", True), ("Our sizes:", True),
     ("尺码：", True), ("It is.", True), ("Our sizes", False), ("It is.\nOur sizes", False)],
)  # fmt: skip
def test_a_line_may_end_without_a_full_stop_where_it_is_more_than_prose(text, over):
    assert ends_line(text) is over
    assert ends_line(text + " ") is over


@pytest.mark.parametrize(
    "line, mark",
    [("# One", "heading"), ("- one", "bullet"), ("  * one", "bullet"), ("• one", "bullet"),
     ("12. one", "number"), ("3) one", "number"), ("| one", "row"), ("> one", "quote"),
     ("-one", None), ("**one**", None), ("#one", None), ("2026. one", None), ("one", None)],
)  # fmt: skip
def test_a_line_of_a_block_is_known_by_its_mark(line, mark):
    assert mark_of(line) == mark


@pytest.mark.parametrize(
    "text, letter",
    [("One", "O"), ("one", "o"), ("„Eins“", "E"), ("**Eins**", "E"), ("- Eins", "E"),
     ("¿Uno?", "U"),
     ("# «Раз»", "Р"), ("1. Eins", "E"), ("42", "4"), ("🙂 One", ""), ("", ""), ("...", "")],
)  # fmt: skip
def test_a_sentence_begins_behind_quotes_and_marks(text, letter):
    assert first_letter(text) == letter


@pytest.mark.parametrize(
    "text, joins",
    [(", and", True), (".", True), (") and", True), ("'s", True), ("-mail", True),
     ("- item", False),
     ("\u0301a", True), ("\u200da", True), ("🏽 yes", True), ("** and", True), ("**and**", False),
     ('" and', True), ('"And"', False), ("* item", False), ("`", True), ("and", False),
     ("。", True),
     ("(and", False), ("؟", True), ("/track", True), ("🙂", False)],
)  # fmt: skip
def test_what_belongs_to_something_before_it_clings(text, joins):
    assert clings(text) is joins


@pytest.mark.parametrize(
    "text, at, begins",
    [("in three", 0, True), ("in three", 3, True), ("in three", 2, True), ("in three", 4, False),
     ("三个工作日", 2, True), ("用DHL寄", 1, True), ("用DHL寄", 2, False),
     ("cafe\u0301s", 4, False),
     ("cafe\u0301s", 5, False), ("(in", 1, True), ("배송은", 1, False), ("- in", 0, True)],
)  # fmt: skip
def test_a_word_begins_where_no_letter_stands_before_it(text, at, begins):
    assert starts_word(text, at) is begins


def test_scripts_without_spaces_are_those_of_chinese_and_japanese():
    assert all(map(spaceless, "字かカー。，ｱ𠀋"))
    assert not any(map(spaceless, "aйαعष글 .🙂"))


@pytest.mark.parametrize("char", ["\u0301", "\u200d", "\ufe0f", "🏻", "🏿", "\u064b"])
def test_what_is_drawn_onto_another_character_combines(char):
    assert combines(char)
    assert not combines("a")


def test_letters_weigh_one_ideographs_two_and_syllables_between():
    assert [weight(text) for text in ("", "abc", "äé", "字", "かグ", "글")] == [0, 3, 2, 2, 3, 1.5]


@pytest.mark.parametrize("code", SAMPLES)
def test_only_german_writes_capitals_within_its_sentences(code):
    prose = SAMPLES[code].split("\n")[0]
    assert capitalises(prose) is (code == "de")


def test_two_names_are_no_habit():
    assert not capitalises("from Ann to Bob")
