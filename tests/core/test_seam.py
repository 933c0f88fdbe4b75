"""The seam: an answer that goes on, or is told again, laid over what was shown."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from service.core.seam import ANEW, HELD, NOTHING, Retelling, Seam, Step

SAMPLES = json.loads((Path(__file__).parent / "samples" / "languages.json").read_text("utf-8"))
WORDS = sorted({
    word
    for text in SAMPLES.values()
    for word in re.findall(r"[^\W\d_]+", text.split("\n")[0])
    if word.islower() and len(word) > 1
})  # fmt: skip

letters = st.text("ab🙂", max_size=12)
places = st.lists(st.integers(0, 400), max_size=30)


def in_pieces(text: str, at: list[int]) -> list[str]:
    """``text`` cut at ``at``; a place twice gives an empty piece."""
    ends = sorted(min(place, len(text)) for place in at)
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


def steps(seam: Seam | Retelling, pieces: list[str], *, whole: bool = True) -> Iterator[Step]:
    for piece in pieces:
        step = seam.add(piece)
        yield step
        if step.anew:
            return
    yield seam.end(whole=whole)


class Shown:
    """What the customer sees, as one worker after another writes it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.cuts: list[int] = []
        self.anew = False

    def take(self, seam: Seam | Retelling, pieces: list[str], *, whole: bool = True) -> "Shown":
        for step in steps(seam, pieces, whole=whole):
            if step.cut is not None:
                assert step.cut < len(self.text), "a cut that cuts nothing"
                self.text = self.text[: step.cut]
                self.cuts.append(step.cut)
            self.text += step.text
            self.anew |= step.anew
        return self


def go_on(shown: str, told: str, *, at: list[int] | None = None, whole: bool = True) -> Shown:
    """The model is asked to go on, and says ``told``."""
    pieces = [told] if at is None else in_pieces(told, at)
    return Shown(shown).take(Seam(shown), pieces, whole=whole)


def take_over(shown: str, told: str, again: str, at: list[int]) -> Shown:
    """The same, and it says ``again`` where it is asked to tell it all."""
    seen = go_on(shown, told, at=at)
    if seen.anew:
        assert (seen.text, seen.cuts) == (shown, []), "nothing was shown of what is of no use"
        seen.take(Retelling(shown), in_pieces(again, at))
    return seen


def tell(shown: str, pieces: list[str]) -> tuple[str, int]:
    seen = Shown(shown).take(Retelling(shown), pieces)
    return seen.text, len(seen.cuts)


# -- told again -------------------------------------------------------------------------------


@given(letters, letters, places)
def test_the_steps_turn_what_was_shown_into_the_new_telling_exactly(shown, telling, at):
    assert tell(shown, in_pieces(telling, at))[0] == telling


@given(letters, letters, letters, places)
def test_it_is_cut_at_most_once_and_never_before_the_texts_differ(same, shown, telling, at):
    before, after = same + shown, same + telling
    cuts = Shown(before).take(Retelling(before), in_pieces(after, at)).cuts
    assert len(cuts) <= 1
    assert all(cut >= len(same) for cut in cuts)
    assert not cuts or before[: cuts[0]] == after[: cuts[0]]


@given(letters, letters, places)
def test_a_telling_that_begins_with_what_was_shown_cuts_nothing(shown, more, at):
    assert tell(shown, in_pieces(shown + more, at)) == (shown + more, 0)


@given(letters, letters, places)
def test_the_pieces_of_a_telling_do_not_matter(shown, telling, at):
    assert tell(shown, in_pieces(telling, at)) == tell(shown, [telling])


@given(st.lists(letters, max_size=5))
def test_nothing_shown_means_everything_is_new(pieces):
    seam = Retelling("")
    assert [seam.add(piece) for piece in pieces] == [Step(None, piece) for piece in pieces]
    assert seam.end() == NOTHING


def test_text_is_skipped_while_it_is_equal_and_cut_where_it_differs():
    seam = Retelling("We ship to Norway in three days.")
    assert seam.add("We ship ") == NOTHING
    assert seam.add("to Sweden") == Step(11, "Sweden")
    assert seam.add(" too.") == Step(None, " too.")
    assert seam.end() == NOTHING


def test_a_telling_that_ends_early_takes_the_rest_away():
    seam = Retelling("We ship to Norway.")
    seam.add("We ship")
    assert seam.end() == Step(7, "")


def test_a_telling_that_was_cut_short_takes_nothing_away():
    seam = Retelling("We ship to Norway.")
    seam.add("We ship")
    assert seam.end(whole=False) == NOTHING


def test_a_place_is_counted_in_code_points():
    seam = Retelling("🙂🙂 one")
    assert seam.add("🙂🙂 two") == Step(3, "two")


# -- going on: the five ways of a model, on texts of our own ------------------------------------


@st.composite
def answers(draw) -> str:
    """Sentences of words that stand nowhere twice, some in paragraphs of their own."""
    words = draw(st.lists(st.sampled_from(WORDS), min_size=16, max_size=70, unique=True))
    text, open = "", False
    for word in words:
        text += f" {word}" if open else word.capitalize()
        end = draw(st.sampled_from(["", "", "", "", "", ",", ". ", "? ", "! ", ".\n\n", "…\n"]))
        text, open = text + end, end in ("", ",")
    text = text.rstrip().rstrip(",")
    assume(len(text) > HELD)
    return text if text[-1] in ".?!…" else text + "."


@st.composite
def cut_answers(draw) -> tuple[str, str]:
    """A whole answer, and how far it was shown when its worker died."""
    text = draw(answers())
    return text, text[: draw(st.integers(HELD, len(text)))]


def sentences(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[.?!…]+\s*", text) if part.strip()]


def stands_once(text: str) -> bool:
    return len(sentences(text)) == len(set(sentences(text)))


@given(cut_answers(), places)
def test_a_model_that_goes_on_exactly_leaves_no_trace(cut, at):
    whole, shown = cut
    seen = take_over(shown, whole[len(shown) :], whole, at)
    assert (seen.text, seen.cuts) == (whole, [])


@given(cut_answers(), st.integers(3, 30), places)
def test_a_model_that_repeats_its_last_words_leaves_no_trace(cut, count, at):
    whole, shown = cut
    begins = [found.start() for found in re.finditer(r"\S+", shown)][-count:][0]
    seen = go_on(shown, whole[begins:], at=at)
    assert (seen.text, seen.cuts, seen.anew) == (whole, [], False)


@given(cut_answers(), places)
def test_a_model_that_restarts_verbatim_leaves_no_trace(cut, at):
    whole, shown = cut
    seen = go_on(shown, whole, at=at)
    assert (seen.text, seen.cuts, seen.anew) == (whole, [], False)


@st.composite
def rewordings(draw, text: str) -> str:
    """The same in other words: another beginning, and now and then another word."""
    words = re.findall(r"\S+\s*", text)
    fresh = draw(st.permutations(["xylo", "quux", "zyx", "wobble", "flim"]))
    kept = [fresh[i % 5] + " " if i > 9 and i % 4 == 0 else word for i, word in enumerate(words)]
    return f"{fresh[0].capitalize()} {fresh[1]}: " + "".join(kept)


@given(cut_answers(), st.data(), places)
def test_a_model_that_restarts_in_other_words_costs_one_rewind_and_doubles_nothing(cut, data, at):
    _, shown = cut
    other = data.draw(rewordings(shown + " and more."))
    seen = take_over(shown, other, other, at)
    assert seen.anew
    assert (seen.text, len(seen.cuts)) == (other, 1)
    assert stands_once(seen.text)


PREAMBLES = [
    "Sure, continuing:", "Sure, continuing: ", "Of course! Continuing from where I left off:\n\n",
    "Certainly. ", "Okay, ", "Natürlich, weiter geht's: ", "好的，继续：", "Bien sûr, ",
    "Конечно, продолжаю: ", "はい、続けます。", "네, 계속하겠습니다. ", "بالتأكيد، ", "Jatkan: ",
    "Here is the continuation: ",
]  # fmt: skip


@given(cut_answers(), st.sampled_from(PREAMBLES), answers(), places)
def test_a_model_that_announces_that_it_goes_on_is_asked_anew(cut, preamble, other, at):
    whole, shown = cut
    assume(not other.startswith(shown))
    seen = take_over(shown, preamble + whole[len(shown) :], other, at)
    assert seen.anew
    assert (seen.text, len(seen.cuts)) == (other, 1)
    assert stands_once(seen.text)


@given(cut_answers(), st.text(max_size=120), places)
def test_whatever_it_says_the_shown_text_is_cut_once_at_most(cut, told, at):
    _, shown = cut
    seen = go_on(shown, told, at=at)
    assert len(seen.cuts) <= 1
    assert not seen.anew or (seen.text, seen.cuts) == (shown, [])


near = st.text("ab .\n| é🙂字", min_size=HELD, max_size=90)


@given(near, near, places, st.booleans())
@example("a" * 50, "a" * 60, [1, 41, 50], True)
def test_the_pieces_of_what_goes_on_do_not_matter(shown, told, at, whole):
    one, other = go_on(shown, told, whole=whole), go_on(shown, told, at=at, whole=whole)
    assert (one.text, one.cuts, one.anew) == (other.text, other.cuts, other.anew)


# -- going on: real texts in all languages, cut at every tenth place ----------------------------


@pytest.mark.parametrize("code", SAMPLES)
def test_in_every_language_going_on_exactly_leaves_no_trace(code):
    text, anew = SAMPLES[code], 0
    cuts = range(HELD, len(text), 7)
    for at in cuts:
        seen = go_on(text[:at], text[at:])
        anew += seen.anew
        assert seen.anew or (seen.text, seen.cuts) == (text, [])
    assert anew <= 0.04 * len(cuts), "names after a space, and the like"


@pytest.mark.parametrize("code", SAMPLES)
def test_in_every_language_what_is_repeated_is_shown_once(code):
    text = SAMPLES[code]
    spaceless = code in ("zh", "ja")
    for at in range(HELD + 7, len(text), 10):
        starts = [found.start() for found in re.finditer(r"\S" if spaceless else r"\S+", text[:at])]
        for count in (8, 30) if spaceless else (3, 9, 30):
            seen = go_on(text[:at], text[starts[-count:][0] :])
            assert (seen.text, seen.cuts, seen.anew) == (text, [], False)
        seen = go_on(text[:at], text)
        assert (seen.text, seen.cuts, seen.anew) == (text, [], False)


@pytest.mark.parametrize("code", SAMPLES)
def test_in_every_language_a_new_beginning_is_noticed(code):
    text = SAMPLES[code]
    other = {"zh": "换句话说，", "ja": "言い換えますと、", "ko": "다시 말해 ", "ar": "بعبارة أخرى ",
             "fa": "به عبارت دیگر "}.get(code, "In other words, ") + text  # fmt: skip
    for at in range(HELD, len(text), 5):
        assert go_on(text[:at], other).anew
        assert go_on(text[:at], "Sure, continuing: " + text[at:]).anew


# -- where the shown text stops -----------------------------------------------------------------

OPEN = "Thank you for asking. Parcels to Norway take three"
WERKTAGE = "Die Lieferung nach Norwegen dauert drei bis vier Werktage, mit der Post z. B."
LADEN = "Der Laden hat am Samstag bis zum Abend und am Sonntag bis zum "
ZH = "寄往挪威的包裹一般需要三到五个工作日，因为要先经过海关检查。运费为十四欧元九十，寄往"
JA = "ノルウェーへのお荷物は通常三営業日から五営業日かかります。スウェーデンへは二営業日ほど"
KO = "노르웨이로 보내는 소포는 보통 영업일 기준 사흘에서 닷새가 걸리며 스웨덴까지는"


@pytest.mark.parametrize(
    "shown, told",
    [
        ("We are glad that you ask: parcels to Norw", "ay take three days."),
        (OPEN, " days, to Sweden two."),
        (OPEN + " ", "days, to Sweden two."),
        (OPEN, ", four at most."),
        (OPEN, " Norwegian days."),
        (OPEN + " days", "."),
        (OPEN + " days.", " It may take four before Christmas."),
        (OPEN + " days. ", "It may take four before Christmas."),
        (OPEN + " days.", "\n\nIt may take four before Christmas."),
        (OPEN + " days.\n\n", "It may take four before Christmas."),
        (OPEN + " days (e.g.", " Monday to Wednesday)."),
        (OPEN + " days. It costs 4.", "90 euros."),
        (OPEN + " days. See www.example.", "com/track for more."),
        ("Pakete nach Norwegen dauern meistens nur drei", " Tage, nach Schweden zwei."),
        (WERKTAGE, " Montag."),
        (LADEN, "Mittag geöffnet."),
        (ZH, "瑞典只需要两天。"),
        (JA, "かかります。"),
        (KO, " 이틀이 걸립니다."),
        ("تستغرق الطرود المرسلة إلى النرويج عادة ثلاثة أيام عمل، أما إلى السويد", " فيومان فقط."),
        ("We sell them in small, medium and large, in cafe", "\u0301 brown and in black."),
        ("We sell them in small, medium and large. Thanks 👍", "🏽 for asking."),
        ("We sell them in small, medium and large, with US", "B-C and with Lightning."),
        ("We sell them in small, medium and large, in **bold", "** colours and in others."),
        ("We sell them in small, medium and large, as the \"Trail", "\" and as the \"Road\"."),
        ("You can write to us by telephone, by letter and by e-", "mail, at any time."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("at", [[], [1], [1, 2, 3], list(range(60))])
def test_what_goes_on_where_the_text_stopped_is_put_behind_it(shown, told, at):
    seen = go_on(shown, told, at=at)
    assert (seen.text, seen.cuts, seen.anew) == (shown + told, [], False)


@pytest.mark.parametrize(
    "shown, told",
    [
        (OPEN, "Delivery to Norway is three days."),
        (OPEN + " ", "Delivery to Norway is three days."),
        (OPEN, "\n\nDelivery to Norway is three days."),
        (OPEN, "**Delivery**: three days to Norway."),
        (OPEN, "- Norway: three days"),
        (OPEN, "# Delivery"),
        (OPEN, "„Drei Tage“, sagt die Post."),
        (OPEN, "¿Cuánto tarda?"),
        (OPEN + " days, e.g. ", "Delivery is quick."),
        (OPEN + " days.", "Delivery is quick."),  # no space: it does not go on there
        (OPEN + " days. ", "So parcels to Norway take long."),  # words of the answer's start
        (OPEN + " days.\n\n", "To Norway, as we said: parcels to Norway take long."),
        (OPEN + " days.\n", "Sure, continuing: it may be four."),
        (ZH, "您好，寄往挪威的包裹一般需要三天。"),
        (ZH, "\n\n瑞典只需要两天。"),
        (JA, "お答えします。ノルウェーへのお荷物は三日です。"),
        (LADEN, "Unser Laden hat am Samstag bis zum Abend auf."),
        (OPEN, "Yes."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("at", [[], [1], list(range(60))])
def test_what_begins_anew_is_not_shown(shown, told, at):
    seen = go_on(shown, told, at=at)
    assert (seen.text, seen.cuts, seen.anew) == (shown, [], True)


def test_a_model_that_begins_with_a_space_gives_itself_away_by_other_signs():
    shown = " Thank you for asking. Parcels to Norway take three"
    assert go_on(shown, " Delivery to Norway is three days.").anew
    assert not go_on(shown, " days, to Sweden two.").anew


# -- nothing, or little -------------------------------------------------------------------------


@pytest.mark.parametrize("end", [" days.", " days!", " days?»", ' days."', " days :)", "。", " 🙂"])
@pytest.mark.parametrize("told", ["", "\n", "  "])
def test_nothing_more_to_say_after_a_whole_sentence_is_the_answers_end(end, told):
    seen = go_on(OPEN + end, told)
    assert (seen.text, seen.cuts, seen.anew) == (OPEN + end + told, [], False)


@pytest.mark.parametrize("end", ["", " ", " days,", " days, e.g.", " days:"])
def test_nothing_more_to_say_within_a_sentence_is_no_end(end):
    assert go_on(OPEN + end, "").anew


@given(st.integers(2, HELD + 5), places)
def test_what_is_shorter_than_what_is_held_is_shown_at_its_end(length, at):
    more = (" days" + ", and then" * 9)[:length]
    assert go_on(OPEN, more, at=at).text == OPEN + more


def test_the_first_forty_characters_are_held_and_no_more():
    seam = Seam(OPEN)
    more = " days, and two days to our other friends"
    assert len(more) == HELD
    assert [seam.add(char) for char in more[:-1]] == [NOTHING] * (HELD - 1)
    assert seam.add(more[-1]) == Step(None, more)
    assert seam.add("!") == Step(None, "!")
    assert seam.end() == NOTHING


def test_after_it_is_to_be_asked_anew_a_seam_takes_no_text():
    seam = Seam(OPEN)
    assert seam.add("Sure, continuing: they take three days, no more.") == ANEW
    assert seam.end() == NOTHING
    with pytest.raises(ValueError, match="anew"):
        seam.add("x")


# -- echoes -------------------------------------------------------------------------------------

LIST = (
    "We have it in these sizes:\n"
    "- Size S: in stock, it ships in three working days.\n"
    "- Size M: in stock, it ships in three working days.\n"
    "- Size L"
)
MORE = ": in stock, it ships in three working days.\n- Size XL: sold out, sorry.\n"


@pytest.mark.parametrize("cut", range(0, len(MORE)))
def test_in_a_list_with_lines_alike_it_goes_on_in_the_right_line(cut):
    shown = LIST + MORE[:cut]
    seen = take_over(shown, MORE[cut:], LIST + MORE, [])
    assert (seen.text, seen.cuts) == (LIST + MORE, [])


@pytest.mark.parametrize("start", ["- Size S", "- Size M", "- Size L", "in stock", "it ships"])
@pytest.mark.parametrize("cut", range(12, len(MORE), 4))
def test_in_a_list_with_lines_alike_the_echo_is_where_it_runs_to_the_shown_end(start, cut):
    whole = LIST + MORE
    shown = whole[: len(LIST) + cut]
    if (begins := shown.rfind(start)) > len(shown) - 8:
        return  # shorter than an echo
    seen = take_over(shown, whole[begins:], whole, [3, 50])
    assert (seen.text, seen.cuts) == (whole, [])


def test_a_row_that_looks_like_one_before_is_no_echo():
    table = "| Size | Norway | Sweden |\n| --- | --- | --- |\n| S | yes | yes |\n| M | yes"
    seen = go_on(table, " | yes |\n| L | yes | no |\n")
    assert (seen.text, seen.anew) == (table + " | yes |\n| L | yes | no |\n", False)
    cells = "Here is what we have in stock now:\n| yes | yes | yes"
    assert go_on(cells, " | yes | yes | no |").text == cells + " | yes | yes | no |"


def test_of_lines_that_are_the_same_the_longest_echo_is_skipped():
    """Nothing tells whether the model repeats two of them or three; one is rather lost."""
    shown = "Opening hours:\n" + "- 9 to 17\n" * 5
    seen = go_on(shown, "- 9 to 17\n- 9 to 17\n- closed")
    assert (seen.text, seen.cuts) == (shown + "- closed", [])


def test_an_echo_that_differs_before_the_shown_end_is_cut_there():
    shown = "Thank you. " * 10 + "The parcel to Norway is sent by post and you get a"
    told = "The parcel to Norway is sent by post and you will have it soon."
    seen = go_on(shown, told, at=[5, 41, 42])
    assert seen.text == "Thank you. " * 10 + told
    assert seen.cuts == [shown.index("get a")]


def test_a_restart_that_differs_before_the_shown_end_is_cut_there():
    shown = "Thank you for asking. Parcels to Norway take three days, we thi"
    told = "Thank you for asking. Parcels to Norway take three days, or four."
    seen = go_on(shown, told)
    assert (seen.text, seen.cuts) == (told, [shown.index("we thi")])
    newline = go_on(shown, "\n\n" + told)
    assert (newline.text, newline.cuts) == (told, [shown.index("we thi")])


def test_a_restart_that_ends_before_the_shown_end_takes_the_rest_away_unless_it_was_cut_short():
    shown = "Thank you for asking. Parcels to Norway take three days, we thi"
    told = "Thank you for asking. Parcels to Norway take three"
    assert go_on(shown, told).text == told
    assert go_on(shown, told, whole=False).text == shown


def test_an_echo_that_ends_before_the_shown_end_is_in_doubt():
    assert go_on(OPEN + " days. It costs", "Parcels to Norway take three days.").anew


def test_an_echo_of_the_whole_end_adds_nothing():
    shown = OPEN + " days. Thank you for your order!"
    seen = go_on(shown, "Thank you for your order!")
    assert (seen.text, seen.cuts, seen.anew) == (shown, [], False)


def test_a_restart_longer_than_what_is_kept_of_the_tail_is_skipped():
    shown = " ".join(WORDS[:400])
    told = shown + " and an end."
    seen = go_on(shown, told, at=list(range(0, 400, 3)))
    assert (seen.text, seen.cuts) == (told, [])


def test_an_echo_from_before_the_tail_is_no_echo():
    shown = "First. " + " ".join(WORDS[:300]) + " and so"
    early = " ".join(WORDS[10:40])
    assert go_on(shown, " " + early).text == shown + " " + early
