"""Echoes: where in the shown text the first that came stands already."""

from service.core.echoes import TAIL, Echo, echoes

SHOWN = "Thank you for asking. Parcels to Norway take three working days"


def found(shown: str, held: str) -> list[str]:
    """The shown text from each echo on."""
    return [shown[echo.at :] for echo in echoes(shown, held)]


def test_the_whole_text_told_again_is_an_echo_of_its_start():
    assert echoes(SHOWN, SHOWN[:40]) == [Echo(0, 0)]


def test_the_end_told_again_is_an_echo_however_it_goes_on():
    assert found(SHOWN, "working days, and four to Sweden") == ["working days"]
    assert found(SHOWN, "Norway take three working days or so") == [
        "Norway take three working days"
    ]


def test_eight_letters_are_an_echo_of_the_end_and_seven_are_none():
    assert found("It takes three whole days", "ole days or so") == ["ole days"]
    assert found("It takes three whole days", "le days or so") == []


def test_three_whole_words_are_an_echo_however_short():
    assert found("We ship it to us at 5", "us at 5 or so") == ["us at 5"]
    assert found("We ship it to us at 5", "s at 5 or so") == []
    assert found("We ship it to us at 5", "at 5 or so") == []


def test_three_ideographs_are_an_echo_of_the_end_and_two_are_none():
    assert found("寄往挪威的包裹需要三个工作日", "工作日左右") == ["工作日"]
    assert found("寄往挪威的包裹需要三个工作日", "作日左右") == []
    assert found("スイスへのお荷物の送料は4", "送料は4.90ユーロです") == ["送料は4"]


def test_a_phrase_within_the_text_must_be_longer_than_one_that_is_its_end():
    shown = SHOWN + ", to Sweden it"
    assert found(shown, "take three working") == []
    assert found(shown, "Norway take three working") == [
        "Norway take three working days, to Sweden it"
    ]


def test_every_place_that_is_alike_is_an_echo_in_order():
    line = "- in stock, it ships in three days\n"
    shown = "Our sizes, as you asked:\n" + line * 3
    assert found(shown, line + "- in s") == [line * 3, line * 2, line]


def test_an_echo_begins_within_the_tail_or_at_the_start():
    filler = "".join(f"{number} " for number in range(1000, 1000 + TAIL // 5))
    phrase = "Parcels to Norway take three working days."
    assert found(phrase + " " + filler, phrase[:40]) == [phrase + " " + filler]
    assert found("So: " + phrase + " " + filler, phrase[:40]) == []
    assert len(found("So: " + phrase + " " + filler[43:], phrase[:40])) == 1


def test_white_space_before_it_counts_for_nothing_where_it_is_a_new_line_or_the_start():
    assert echoes(SHOWN, "\n\n" + SHOWN[:38]) == [Echo(0, 2)]
    assert echoes(SHOWN, " " + SHOWN[:39]) == [Echo(0, 1)]
    assert echoes(SHOWN, "\nworking days and") == [Echo(SHOWN.index("working"), 1)]
    assert echoes(SHOWN, "  working days and") == []
    assert echoes(SHOWN, " working days and") == [Echo(SHOWN.index(" working"), 0)]


def test_what_goes_on_as_the_text_did_before_is_no_echo():
    row = "| Norway | in stock | in stock | in stock"
    assert found(row, " | in stock | sold out |") == []
    assert found("Norway: it is in stock, we th", "ink, and we think it is") == []
    lines = "- in stock\n- in stock\n- in stock\n- in st"
    assert found(lines, "ock\n- in stock\n- sold out") == []


def test_an_accent_begins_no_echo_within_a_text():
    shown = "We are the cafe\u0301s of the town and open at nine o'clock, the cafe"
    assert found(shown, "\u0301s of the town and open at nine") == []


def test_nothing_is_an_echo_of_nothing():
    assert echoes(SHOWN, "") == []
