"""Continuing: whether the first that came goes on where the text stopped; more in test_seam."""

import pytest

from service.core.continuing import SHARED, START, goes_on, is_attached

SHOWN = "Thank you for asking. Parcels to Norway take three"


@pytest.mark.parametrize("held", [" days", "\u00a0days", ", or", ".", "\u0301", "'s"])
def test_a_space_or_what_clings_shows_by_itself_that_it_goes_on(held):
    assert is_attached(SHOWN, held)
    assert goes_on(SHOWN, held)


@pytest.mark.parametrize(
    "shown, held", [(SHOWN, "days"), (SHOWN, "\nDays"), (SHOWN + " ", " days")]
)
def test_nothing_else_shows_it_by_itself(shown, held):
    assert not is_attached(shown, held)


def test_a_digit_after_a_digit_goes_on():
    assert is_attached(SHOWN + " 1", "4 days")
    assert not is_attached(SHOWN, "4 days")


def test_a_number_after_a_word_is_judged_by_its_words():
    assert goes_on(SHOWN + " to ", "4 days.")
    assert not goes_on(SHOWN + " to ", "4 days is what parcels to Norway take")


@pytest.mark.parametrize("mark", ["- ", "2. ", "| ", "> ", "• "])
def test_a_list_goes_on_with_its_next_line(mark):
    line = f"{mark}Parcels to Norway take three days"
    shown = f"This is what we know about them:\n{line}"
    assert goes_on(shown, "\n" + line.replace("Norway", "Sweden"))
    assert goes_on(shown + "\n", line.replace("Norway", "Sweden"))


def test_a_list_begins_after_a_colon():
    shown = "Parcels to Norway take three days, and these are the others:"
    assert goes_on(shown, "\n- Parcels to Norway by sea")
    assert goes_on(shown + "\n\n", "1. Parcels to Norway by sea")


def test_a_row_goes_on_with_its_next_cell_and_a_dash_with_a_thought():
    assert goes_on("| Parcel | Days |\n| --- | --- |\n| Norway, Sweden", "| 3 |")
    assert goes_on(SHOWN + " ", "- or so we think - days")
    assert not goes_on(SHOWN, "- Norway: three days")


def test_a_new_line_within_a_sentence_begins_anew_unless_it_begins_small():
    assert not goes_on(SHOWN, "\nDays are needed.")
    assert goes_on(SHOWN, "\ndays are needed.")


@pytest.mark.parametrize("end", [" days. ", " days.\n\n"])
def test_between_sentences_the_words_decide(end):
    assert goes_on(SHOWN + end, "It may take four before Christmas.")
    assert not goes_on(SHOWN + end, "It is so that PARCELS TO NORWAY take")


def test_only_the_answers_start_decides_and_only_a_run_long_enough():
    filler = "Such are the words that nobody repeats in this text of ours, I would say. "
    early, late = "parcels to Norway", "letters to Sweden"
    shown = f"We think of {early}. " + filler * 3 + f"We think of {late}. "
    assert shown.index(late) > START
    assert goes_on(shown, f"Our {late}")
    assert not goes_on(shown, f"Our {early}")
    assert goes_on(shown, f"Our {early[: SHARED - 2]}")


def test_text_in_a_script_without_capitals_is_judged_by_its_words():
    shown = "寄往挪威的包裹一般需要三到五个工作日，因为要先经过海关检查。运费为十四欧元"
    assert goes_on(shown, "九十，寄往瑞典")
    assert not goes_on(shown, "往挪威的包裹一般三天")
    assert goes_on(shown, "DHL 也可以")


def test_capitals_in_the_middle_of_a_word_go_on():
    assert goes_on(SHOWN + " with US", "B-C plugs")
    assert goes_on(SHOWN + " with US", "B plugs")
    assert not goes_on(SHOWN + " with US", "A parcel, we said, to Norway takes three")
    assert not goes_on(SHOWN + " with US", "But there is more")
    assert not goes_on(SHOWN + " with A", "But there is more")


def test_a_name_after_a_bracket_or_a_hyphen_is_judged_by_its_words():
    assert goes_on(SHOWN + " days (", "Sweden two)")
    assert not goes_on(SHOWN + " days (", "Parcels to Norway: three)")


def test_white_space_alone_goes_on():
    assert goes_on(SHOWN, "\n\n")
