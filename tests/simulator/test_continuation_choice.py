"""Which of the five ways of going on it is, and how many words are repeated."""

import re
from collections import Counter

import pytest

from service.simulator import modes
from service.simulator.answers.continuation import FEWEST_WORDS, MOST_WORDS, chosen
from tests.simulator.api import Api
from tests.simulator.questions import SHIPPING
from tests.simulator.test_continuation import continued


def way(text: str, whole: str, told: str) -> str:
    """The way in which an English answer was gone on with."""
    if text == whole[len(told) :]:
        return modes.EXACT
    if text == whole:
        return modes.RESTART
    if text.startswith("In other words:"):
        return modes.REWORDED
    if text.startswith("Sure, continuing:"):
        return modes.PREAMBLE
    again = text.removesuffix(whole[len(told) :])
    assert told.endswith(again)
    assert FEWEST_WORDS <= len(again.split()) <= MOST_WORDS
    return modes.REPEAT


@pytest.fixture
def whole(api: Api, simulator) -> str:
    """A long English answer, the same for every seed."""
    text = api.ask(SHIPPING["en"], simulate="long tokens=250")
    simulator.control(scripts=[{"match": "Germany", "text": text}])
    return text


def test_the_seed_picks_among_the_five_ways(api: Api, simulator, whole: str) -> None:
    def ways(seed: int) -> list[str]:
        simulator.control(seed=seed)
        asked = [continued(whole[:at], SHIPPING["en"]) for at in range(400, 470)]
        texts = [api.ask(messages=messages) for messages in asked]
        told = [messages[-1]["content"] for messages in asked]
        return [way(text, whole, one) for text, one in zip(texts, told, strict=True)]

    first = ways(7)
    assert set(first) == set(modes.MODES)
    assert ways(7) == first
    assert ways(8) != first


@pytest.mark.parametrize("simulate", ["", "repeat"], ids=["switch", "fault"])
def test_the_seed_picks_how_much_is_repeated(
    api: Api, simulator, whole: str, simulate: str
) -> None:
    simulator.control(continuation="exact" if simulate else "repeat")
    lengths = set()
    for at in range(400, 430):
        text = api.ask(messages=continued(whole[:at], SHIPPING["en"]), simulate=simulate)
        lengths.add(len(text.removesuffix(whole[at:]).split()))
    assert len(lengths) > 5
    assert min(lengths) >= FEWEST_WORDS
    assert max(lengths) <= MOST_WORDS


def test_each_way_comes_as_often_and_each_number_of_words() -> None:
    drawn = [chosen(modes.SEEDED, f"7/{number}") for number in range(3000)]
    counted = Counter(one.mode for one in drawn)
    assert set(counted) == set(modes.MODES)
    assert min(counted.values()) > 500
    words = {one.words for one in drawn if one.mode == modes.REPEAT}
    assert words == set(range(FEWEST_WORDS, MOST_WORDS + 1))


@pytest.mark.parametrize("mode", modes.MODES)
def test_a_switch_says_which_way_and_a_request_says_otherwise(
    api: Api, simulator, whole: str, mode: str
) -> None:
    assert simulator.control()["continuation"] == "seeded"
    assert simulator.control(continuation=mode)["continuation"] == mode
    for at in range(400, 410):
        text = api.ask(messages=continued(whole[:at], SHIPPING["en"]))
        assert way(text, whole, whole[:at]) == mode
        for other in modes.MODES:
            text = api.ask(messages=continued(whole[:at], SHIPPING["en"]), simulate=other)
            assert way(text, whole, whole[:at]) == other


def test_a_standing_fault_says_which_way(api: Api, simulator) -> None:
    whole = api.ask("hello")
    simulator.control(faults=[{"kind": "restart", "times": 2}, {"kind": "exact", "times": 1}])
    messages = continued(whole[:30], "hello")
    assert api.ask(messages=messages) == whole[30:]  # of two the last one counts
    assert api.ask(messages=messages) == whole
    assert not re.search("restart|exact", str(simulator.control()["faults"]))
