"""The estimate against cl100k_base's own counts, which cl100k/count.mjs made of the same texts."""

import hashlib
import json
import random
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.languages import LANGUAGES
from service.core.tokens import (
    MESSAGE_OVERHEAD,
    REPLY_OVERHEAD,
    estimate,
    estimate_message,
    estimate_messages,
)

HERE = Path(__file__).parent
COUNTS = json.loads((HERE / "cl100k" / "counts.json").read_text("utf-8"))
REMEDY = "counts.json is of other texts: run tests/core/cl100k/count.mjs, it says how"


def loaded(name: str) -> dict[str, list[str]]:
    texts = json.loads((HERE / name).read_text("utf-8"))
    return {key: [text] if isinstance(text, str) else text for key, text in texts.items()}


SAMPLES = loaded("samples/languages.json")
HELD_OUT = loaded("cl100k/held_out.json")
ODD = loaded("cl100k/odd.json")


def ratio(texts: list[str], counted: dict[str, object]) -> float:
    """Our estimate by the true count, which must be of these very texts."""
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    assert counted["sha256"] == digest, REMEDY
    tokens = counted["tokens"]
    assert isinstance(tokens, int)
    return sum(map(estimate, texts)) / tokens


def test_there_is_a_text_for_each_language():
    assert set(SAMPLES) == set(HELD_OUT) == set(LANGUAGES)
    assert all(len("".join(texts)) > 1000 for texts in SAMPLES.values())


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_page_is_estimated_0_to_25_percent_above_the_true_count(code):
    assert 1.0 <= ratio(SAMPLES[code], COUNTS["samples"][code]) <= 1.25


@pytest.mark.parametrize("code", LANGUAGES)
def test_chat_lines_that_the_weights_were_not_made_for_are_estimated_as_well(code):
    assert 1.0 <= ratio(HELD_OUT[code], COUNTS["held_out"][code]) <= 1.25


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_prose_is_never_far_off(name):
    assert 0.95 <= ratio(ODD[name], COUNTS["odd"][name]) <= 1.6


def test_nothing_costs_nothing():
    assert estimate("") == 0


@given(st.text(), st.text())
def test_more_text_never_costs_less(first, second):
    assert 0 <= estimate(first) <= estimate(first + " " + second) + 1


@given(st.text(max_size=200))
def test_an_estimate_never_fails_and_is_never_absurd(text):
    assert 0 <= estimate(text) <= 4 * len(text.encode("utf-8", "surrogatepass")) + 2


def test_the_same_text_always_costs_the_same():
    for texts in SAMPLES.values():
        assert estimate(texts[0]) == estimate(texts[0])


def test_a_message_costs_its_text_and_its_wrapping():
    text = {"role": "user", "content": "Where is my order?"}
    assert estimate_message(text) == MESSAGE_OVERHEAD + estimate("Where is my order?")
    assert estimate_message({"role": "assistant", "content": None}) == MESSAGE_OVERHEAD
    call = {"id": "a", "function": {"name": "order", "arguments": '{"id": "A-7"}'}}
    called = {"role": "assistant", "content": "", "tool_calls": [call]}
    assert estimate_message(called) > 2 * MESSAGE_OVERHEAD + estimate('{"id": "A-7"}')
    assert estimate_messages([text, called]) == (
        REPLY_OVERHEAD + estimate_message(text) + estimate_message(called)
    )


def test_a_long_text_without_a_space_is_estimated_in_linear_time():
    """By counting, not by a clock: twice the text costs twice the tokens, and it returns."""
    rng = random.Random(7)
    word = "".join(rng.choice(string.ascii_lowercase) for _ in range(100_000))
    assert estimate(word * 2) == pytest.approx(2 * estimate(word), rel=0.01)
