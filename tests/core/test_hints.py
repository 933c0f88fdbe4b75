"""Hints: what workers say to each other, read without trust."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import hints


def test_logged_frames_are_read_with_their_first_offset():
    message = b'L worker-1 e1 7\n{"o":7,"type":"x"}\n{"o":8,"type":"y"}'
    assert hints.parse(message) == hints.Logged(
        "worker-1", "e1", 7, (b'{"o":7,"type":"x"}', b'{"o":8,"type":"y"}')
    )


def test_a_frame_shown_in_passing_comes_through_unchanged():
    frame = b'{"type":"queue.updated","position":3}'
    assert hints.parse(hints.shown("w", frame)) == hints.Shown("w", frame)


def test_a_question_for_what_is_shown_comes_through():
    assert hints.parse(hints.asked("w")) == hints.Asked("w")


def test_a_stop_names_the_answer():
    assert hints.parse(b"S w\n12") == hints.Stopped("w", 12)


@pytest.mark.parametrize(
    "message",
    [
        b"", b"\n", b"X w\nnew", b"L w e1\n{}", b"L w e1 7 more\n{}", b"S\n1", b"L w e1 x\n{}",
        b"S w\n", b"S w\nx", b"\xff\xfe w\n", b"A", b"E",
    ],
)  # fmt: skip
def test_what_nobody_of_this_version_says_is_no_hint(message):
    assert hints.parse(message) is None


@given(st.binary(max_size=60))
def test_no_message_whatever_it_is_breaks_the_listener(message):
    hint = hints.parse(message)
    assert hint is None or isinstance(hint, hints.Hint)
