"""The seam: a new telling laid over what was shown, whole and piece by piece."""

from hypothesis import given
from hypothesis import strategies as st

from service.core.seam import Seam, Step

letters = st.text("ab🙂", max_size=12)


def tell(shown: str, pieces: list[str]) -> tuple[str, int]:
    """What is shown in the end, and how often something was cut."""
    seam, cuts = Seam(shown), 0
    for step in [*map(seam.add, pieces), seam.end()]:
        if step.cut is not None:
            shown, cuts = shown[: step.cut], cuts + 1
        shown += step.text
    return shown, cuts


def in_pieces(text: str, places: list[int]) -> list[str]:
    """``text`` cut at ``places``; a place twice gives an empty piece."""
    ends = sorted(min(place, len(text)) for place in places)
    return [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]


@given(letters, letters, st.lists(st.integers(0, 12), max_size=8))
def test_the_steps_turn_what_was_shown_into_the_new_telling_exactly(shown, telling, places):
    assert tell(shown, in_pieces(telling, places))[0] == telling


@given(letters, letters, letters, st.lists(st.integers(0, 24), max_size=8))
def test_it_is_cut_at_most_once_and_never_before_the_texts_differ(same, shown, telling, places):
    before, after = same + shown, same + telling
    seam, cuts = Seam(before), []
    for step in [*map(seam.add, in_pieces(after, places)), seam.end()]:
        cuts += [] if step.cut is None else [step.cut]
    assert len(cuts) <= 1
    assert all(cut >= len(same) for cut in cuts)
    assert not cuts or before[: cuts[0]] == after[: cuts[0]]


@given(letters, letters, st.lists(st.integers(0, 24), max_size=8))
def test_a_telling_that_begins_with_what_was_shown_cuts_nothing(shown, more, places):
    assert tell(shown, in_pieces(shown + more, places)) == (shown + more, 0)


@given(letters, letters, st.lists(st.integers(0, 12), max_size=8))
def test_the_pieces_do_not_matter(shown, telling, places):
    assert tell(shown, in_pieces(telling, places)) == tell(shown, [telling])


@given(letters, st.lists(letters, max_size=5))
def test_nothing_shown_means_everything_is_new(_, pieces):
    seam = Seam("")
    assert [seam.add(piece) for piece in pieces] == [Step(None, piece) for piece in pieces]
    assert seam.end() == Step(None, "")


def test_text_is_skipped_while_it_is_equal_and_cut_where_it_differs():
    seam = Seam("We ship to Norway in three days.")
    assert seam.add("We ship ") == Step(None, "")
    assert seam.add("to Sweden") == Step(11, "Sweden")
    assert seam.add(" too.") == Step(None, " too.")
    assert seam.end() == Step(None, "")


def test_a_telling_that_ends_early_takes_the_rest_away():
    seam = Seam("We ship to Norway.")
    seam.add("We ship")
    assert seam.end() == Step(7, "")


def test_a_place_is_counted_in_code_points():
    seam = Seam("🙂🙂 one")
    assert seam.add("🙂🙂 two") == Step(3, "two")
