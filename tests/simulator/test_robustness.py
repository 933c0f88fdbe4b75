"""No request, however strange, is answered with anything but an answer or a typed refusal."""

import copy
import json
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from service.simulator.answers import compose
from service.simulator.errors import Refusal
from service.simulator.options import SimulatorOptions
from service.simulator.validation import ChatRequest, check
from tests.simulator.api import FACTS, MODEL, Api, question
from tests.simulator.test_functions import ORDER, SEARCH, STOCK, conversation_with_result

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | st.text(max_size=9)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
WHOLE: dict[str, Any] = {
    **conversation_with_result('{"a": [1, {"b": null}]}'),
    "tools": [ORDER, STOCK, {"type": "web_search", "web_search": {**SEARCH}}],
    "response_format": {"type": "json_object"},
    "stop": ["x"],
    "temperature": 0.5,
}


def places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything within a JSON value."""
    if not isinstance(value, (dict, list)):
        return [way]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [way, *(found for name, one in inner for found in places(one, (*way, name)))]


WAYS = [way for way in places(WHOLE) if way]


def answered(body: Any) -> ChatRequest | Refusal:
    try:  # as JSON carries it: a number beyond 64 bits does not come as one
        request = check(orjson.loads(json.dumps(body)), SimulatorOptions())
    except Refusal as refused:
        return refused
    reply = compose(request, seed=0)
    assert isinstance(reply.text, str)
    return request


@given(st.sampled_from(WAYS), VALUES)
@settings(max_examples=300)
def test_any_value_at_any_place_is_accepted_or_refused(way: tuple[Any, ...], value: Any) -> None:
    body = copy.deepcopy(WHOLE)
    target = body
    for name in way[:-1]:
        target = target[name]
    target[way[-1]] = value
    answered(body)


@given(VALUES)
def test_any_body_is_accepted_or_refused(body: Any) -> None:
    assert isinstance(answered(body), Refusal)


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=4), st.text(max_size=200))
def test_any_conversation_over_any_facts_is_answered(texts: list[str], facts: str) -> None:
    system = {"role": "system", "content": f"{FACTS}\n## {facts}\n{facts}"}
    messages = [system, *({"role": "user", "content": text} for text in texts)]
    assert isinstance(answered({"model": MODEL, "messages": messages}), ChatRequest)


def test_an_answer_that_fills_the_context_says_so(api: Api) -> None:
    filling = {"role": "user", "content": "word " * 131_062}
    answer = api.post(question(messages=[filling])).json()
    assert answer["choices"][0]["finish_reason"] == "model_context_window_exceeded"
    assert answer["usage"]["total_tokens"] == 128 * 1024
