"""What the model's client promises, against the simulator and against the real endpoint.

Only URL and key differ. The real one is asked when PARLEY_MODEL_KEY is set (PARLEY_MODEL_URL and
PARLEY_MODEL say where and which); it is asked little. What needs a fault on demand is for the
simulator alone, and stands in the second half.
"""

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from service.clients.model import GlmModel
from service.clients.patience import Patience
from service.core import errors
from service.core.model import Finished, ModelEvent, ModelRequest, TextDelta, ToolCalls
from service.variables import VARIABLES
from tests.support.eventually import eventually
from tests.support.instance import Simulator

KEY = "0123456789abcdef.SecretSecret42"
REAL_KEY = os.environ.get("PARLEY_MODEL_KEY", "")
DEFAULTS = {variable.name: variable.default for variable in VARIABLES}
MODEL = os.environ.get("PARLEY_MODEL") or DEFAULTS["PARLEY_MODEL"]
REAL_URL = os.environ.get("PARLEY_MODEL_URL") or DEFAULTS["PARLEY_MODEL_URL"]
TIER = 120
SHORT = Patience(first_s=1.0, silence_s=0.6)
AT_ONCE_S = 0.1  # how soon an abort is seen; the best of some tries, as machines are busy

numbers = itertools.count(int(time.time() * 1000))
system = {
    "role": "system",
    "content": "You are an AI assistant of Nordlicht. Be brief.\n# Shop: Nordlicht\n"
    "# Contact: help@nordlicht.example\n# Reply language: en\n\n# Facts about the shop\n"
    "## Shipping\nShipping to Norway costs 14.90 euros and takes five to seven working days.\n"
    "## Care of wool\nWash wool at 30 degrees with a mild detergent and dry it flat.",
}


def request(text: str, **fields: Any) -> ModelRequest:
    wanted: dict[str, Any] = {
        "messages": [system, {"role": "user", "content": text}],
        "max_tokens": 60,
        "user_id": "contract-tests",
        "request_id": f"contract-{next(numbers)}",
    }
    return ModelRequest(**(wanted | fields))


async def ask(model: GlmModel, text: str, within: float = 30.0, **fields: Any) -> list[ModelEvent]:
    deadline = time.monotonic() + within
    async with model.stream(request(text, **fields), deadline=deadline) as events:
        return [one async for one in events]


def text_of(events: list[ModelEvent]) -> str:
    return "".join(one.text for one in events if isinstance(one, TextDelta))


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(tier=TIER) as running:
        yield running


@dataclass
class Endpoint:
    url: str
    key: str


@pytest.fixture(params=["simulator", *(["real"] if REAL_KEY else [])])
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    if request.param == "real":
        return Endpoint(REAL_URL, REAL_KEY)
    simulator: Simulator = request.getfixturevalue("simulator")
    simulator.control(reset=True)
    return Endpoint(simulator.url, KEY)


@pytest.fixture
async def model(endpoint: Endpoint) -> AsyncIterator[GlmModel]:
    async with GlmModel.open(endpoint.url, endpoint.key, MODEL, TIER) as opened:
        yield opened


# -- both ------------------------------------------------------------------------------------


async def test_an_answer_is_deltas_and_then_exactly_one_finished(model: GlmModel) -> None:
    events = await ask(model, "Say hello in one sentence.")
    assert text_of(events).strip()
    assert all(isinstance(one, TextDelta) and one.text for one in events[:-1])
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.reason == "stop"
    assert last.usage.prompt_tokens > 0
    assert last.usage.completion_tokens > 0


@pytest.mark.parametrize("text", ["用一句话介绍一下你自己。", "عرّف بنفسك في جملة واحدة."])
async def test_other_writing_arrives_whole(model: GlmModel, text: str) -> None:
    answer = text_of(await ask(model, text))
    assert answer.strip()
    assert "\ufffd" not in answer
    answer.encode()  # no half of a surrogate pair


async def test_an_answer_at_its_limit_ends_with_length(model: GlmModel) -> None:
    events = await ask(model, "Tell me a long story about a lighthouse.", max_tokens=2)
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "length"
    assert events[-1].usage.completion_tokens <= 3


async def test_a_temperature_of_zero_is_accepted(model: GlmModel) -> None:
    assert text_of(await ask(model, "Say hello.", temperature=0.0))


async def test_json_is_json(model: GlmModel) -> None:
    events = await ask(
        model, 'Reply with the JSON object {"a": 1} only.', json_object=True, max_tokens=400
    )
    assert isinstance(json.loads(text_of(events)), dict)


async def test_an_answer_left_early_does_not_disturb_the_next(model: GlmModel) -> None:
    deadline = time.monotonic() + 30
    long = request("Count from one to one hundred in words.", max_tokens=400)
    async with model.stream(long, deadline=deadline) as events:
        assert isinstance(await anext(events), TextDelta)
    assert text_of(await ask(model, "Say hello."))


async def test_two_answers_run_at_once(model: GlmModel) -> None:
    answers = await asyncio.gather(ask(model, "Say one."), ask(model, "Say two."))
    assert all(text_of(events) for events in answers)


async def test_a_wrong_key_blocks_the_account(endpoint: Endpoint) -> None:
    async with GlmModel.open(endpoint.url, "0123456789abcdef", MODEL, TIER) as model:
        with pytest.raises(errors.ModelAccountBlocked) as caught:
            await ask(model, "Hello")
    assert caught.value.provider_code.startswith("1")
    assert not caught.value.retryable


async def test_an_unknown_model_is_rejected(endpoint: Endpoint) -> None:
    async with GlmModel.open(endpoint.url, endpoint.key, "no-such-model-7", TIER) as model:
        with pytest.raises(errors.ModelRejected) as caught:
            await ask(model, "Hello")
    assert caught.value.provider_code == "1211"


async def test_a_request_without_a_customers_message_is_rejected(model: GlmModel) -> None:
    with pytest.raises(errors.ModelRejected) as caught:
        await ask(model, "", messages=[system])
    assert caught.value.provider_code == "1214"


async def test_a_prompt_above_the_models_context_is_too_long(model: GlmModel) -> None:
    with pytest.raises(errors.ModelContextTooLong) as caught:
        await ask(model, "lighthouse " * 200_000)
    assert caught.value.provider_code == "1261"


# -- the simulator alone: faults on demand ---------------------------------------------------


@pytest.fixture
async def simulated(simulator: Simulator) -> AsyncIterator[GlmModel]:
    simulator.control(reset=True)
    async with GlmModel.open(simulator.url, KEY, MODEL, TIER) as opened:
        yield opened


@pytest.fixture
async def hasty(simulator: Simulator) -> AsyncIterator[GlmModel]:
    """One that soon loses its patience."""
    simulator.control(reset=True)
    async with GlmModel.open(simulator.url, KEY, MODEL, TIER, patience=SHORT) as opened:
        yield opened


async def plain_answer(model: GlmModel) -> str:
    """What the simulator says where nothing is wrong."""
    return text_of(await ask(model, "What does shipping cost?"))


async def faulty(model: GlmModel, fault: str) -> tuple[str, errors.ModelError | None, str]:
    """The text, the error and the finish reason under ``fault``."""
    text, reason = "", ""
    asked = request(f"What does shipping cost? [[simulate:{fault}]]")
    try:
        async with model.stream(asked, deadline=time.monotonic() + 20) as events:
            async for one in events:
                match one:
                    case TextDelta(text=piece):
                        text += piece
                    case Finished():
                        reason = one.reason
    except errors.ModelError as error:
        return text, error, reason
    return text, None, reason


CODES = {
    errors.ModelAccountBlocked: (
        "1000 1001 1002 1003 1004 1100 1110 1111 1112 1113 1120 1121 1220 1304 1308 1309 1310 1311 "
        "1313"
    ),
    errors.ModelRejected: "1210 1211 1212 1213 1214 1215 1221 1222 1231",
    errors.ModelOverloaded: "500 1200 1230 1234 1305 1312",
    errors.ModelContextTooLong: "1261",
    errors.ModelRefused: "1300 1301",
    errors.ModelOverTier: "1302 1303",
}


@pytest.mark.parametrize(
    ("kind", "code"),
    [(kind, code) for kind, codes in CODES.items() for code in codes.split()],
)
async def test_every_code_of_the_table_is_named(
    simulated: GlmModel, kind: type[errors.ModelError], code: str
) -> None:
    text, error, _ = await faulty(simulated, code)
    assert type(error) is kind
    assert error.provider_code == code
    assert text == ""


async def test_the_suite_knows_every_code_of_the_simulator() -> None:
    from service.simulator.errors import TABLE

    assert sorted(TABLE) == sorted(" ".join(CODES.values()).split())


@pytest.mark.parametrize("fault", ["html429", "html502"])
async def test_a_page_from_a_gateway_is_an_overload(simulated: GlmModel, fault: str) -> None:
    _, error, _ = await faulty(simulated, fault)
    assert type(error) is errors.ModelOverloaded
    assert error.provider_code == ""


@pytest.mark.parametrize(
    ("code", "kind"), [("1301", errors.ModelRefused), ("1305", errors.ModelOverloaded)]
)
async def test_an_error_with_status_200_is_that_error(
    simulated: GlmModel, code: str, kind: type[errors.ModelError]
) -> None:
    _, error, _ = await faulty(simulated, f"error_200 code={code}")
    assert type(error) is kind


@pytest.mark.parametrize("named", [0, 1])
async def test_an_error_in_the_stream_comes_after_the_text(simulated: GlmModel, named: int) -> None:
    whole = await plain_answer(simulated)
    text, error, _ = await faulty(simulated, f"error_inband after=4 code=1234 event={named}")
    assert type(error) is errors.ModelOverloaded
    assert error.provider_code == "1234"
    assert text
    assert whole.startswith(text)


@pytest.mark.parametrize("fault", ["eof after=4", "cut after=4", "truncated after=4",
                                   "truncated after=4 end=1"])  # fmt: skip
async def test_a_stream_that_breaks_off_is_a_cut_after_its_text(
    simulated: GlmModel, fault: str
) -> None:
    whole = await plain_answer(simulated)
    text, error, _ = await faulty(simulated, fault)
    assert type(error) is errors.ModelCutOff
    assert text
    assert text != whole
    assert whole.startswith(text)


@pytest.mark.parametrize("reason", ["sensitive", "network_error"])
async def test_the_providers_own_ends_come_as_they_are(simulated: GlmModel, reason: str) -> None:
    text, error, ended = await faulty(simulated, f"{reason} after=4")
    assert error is None
    assert ended == reason
    assert text


@pytest.mark.parametrize(
    "fault",
    ["comments every=1", "empty_choices every=1", "split bytes=1 crlf=1", "split bytes=7 crlf=0",
     "comments; empty_choices; split bytes=3"],
)  # fmt: skip
async def test_what_is_only_odd_changes_nothing(simulated: GlmModel, fault: str) -> None:
    text, error, reason = await faulty(simulated, fault)
    assert error is None
    assert reason == "stop"
    assert text == await plain_answer(simulated)


@pytest.mark.parametrize("lone", [0, 1])
async def test_half_an_emoji_waits_for_its_other_half(simulated: GlmModel, lone: int) -> None:
    text, error, _ = await faulty(simulated, f"half_emoji lone={lone}")
    assert error is None
    text.encode()
    assert ("\ufffd" in text) is bool(lone)


@pytest.mark.parametrize("switches", [
    {"finish_reason": "null"}, {"object_field": False}, {"unknown_fields": "refuse"},
])  # fmt: skip
async def test_every_dialect_of_the_endpoint_is_understood(
    simulated: GlmModel, simulator: Simulator, switches: dict[str, Any]
) -> None:
    simulator.control(**switches)
    events = await ask(simulated, "What does shipping cost?", temperature=0.5)
    assert text_of(events)
    assert isinstance(events[-1], Finished)


async def test_a_hang_before_the_headers_is_unreachable(hasty: GlmModel) -> None:
    started = time.monotonic()
    _, error, _ = await faulty(hasty, "hang")
    assert type(error) is errors.ModelUnreachable
    assert SHORT.first_s <= time.monotonic() - started < SHORT.first_s + 1


async def test_silence_in_mid_answer_is_a_stall_after_its_text(hasty: GlmModel) -> None:
    text, error, _ = await faulty(hasty, "stall after=4")
    assert type(error) is errors.ModelStalled
    assert text


async def test_a_pause_that_is_short_enough_is_none(hasty: GlmModel) -> None:
    text, error, _ = await faulty(hasty, "stall after=4 for=0.1")
    assert error is None
    assert text == await plain_answer(hasty)


async def test_a_function_call_comes_whole_and_once(
    simulated: GlmModel, simulator: Simulator
) -> None:
    call = {"name": "order_status", "arguments": '{"order": "A-7"}'}
    simulator.control(scripts=[{"match": "my order", "text": "", "tool_calls": [call]}])
    parameters = {"type": "object", "properties": {"order": {"type": "string"}}}
    function = {
        "name": "order_status",
        "description": "Where an order is.",
        "parameters": parameters,
    }
    tools = [{"type": "function", "function": function}]
    events = await ask(simulated, "Where is my order A-7?", tools=tools)
    calls = [one for one in events if isinstance(one, ToolCalls)]
    assert len(calls) == 1
    assert [(one.name, one.arguments) for one in calls[0].calls] == [tuple(call.values())]
    assert calls[0].calls[0].id.startswith("call_")
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "tool_calls"


async def test_sources_of_a_web_search_come_at_the_end(
    simulated: GlmModel, simulator: Simulator
) -> None:
    simulator.control(web_search_stream=True)
    search = {"enable": True, "search_engine": "search_pro_sogou", "search_result": True}
    tools = [{"type": "web_search", "web_search": search}]
    events = await ask(simulated, "How do I wash wool?", tools=tools)
    assert isinstance(events[-1], Finished)
    assert events[-1].sources
    for source in events[-1].sources:
        assert source.title
        assert source.link.startswith(("http://", "https://"))


async def test_an_abort_is_seen_at_once_and_frees_the_place(
    simulated: GlmModel, simulator: Simulator
) -> None:
    slow = "Hi [[simulate:pace tokens_per_second=20; long tokens=2000]]"

    async def seconds_to_see() -> float:
        deadline = time.monotonic() + 20
        async with simulated.stream(request(slow, max_tokens=2000), deadline=deadline) as events:
            assert isinstance(await anext(events), TextDelta)
            assert simulator.stats()["concurrency"] == 1
        left = time.monotonic()
        await eventually(lambda: simulator.stats()["concurrency"] == 0, every=0.005)
        return time.monotonic() - left

    assert min([await seconds_to_see() for _ in range(5)]) < AT_ONCE_S
    assert simulator.stats()["outcomes"] == {"aborted": 5}


async def test_a_cancelled_request_without_headers_frees_the_place(
    simulated: GlmModel, simulator: Simulator
) -> None:
    asking = asyncio.ensure_future(ask(simulated, "Hi [[simulate:hang]]"))
    await eventually(lambda: simulator.stats()["concurrency"] == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await eventually(lambda: simulator.stats()["concurrency"] == 0)


async def test_the_whole_tier_runs_at_once_through_one_client(
    simulated: GlmModel, simulator: Simulator
) -> None:
    simulator.control(first_token_ms=300, jitter=0.0)
    answers = await asyncio.gather(*(ask(simulated, "Say hello.") for _ in range(TIER)))
    assert all(isinstance(events[-1], Finished) for events in answers)
    stats = simulator.stats()
    assert stats["max_concurrency"] == TIER
    assert stats["over_tier_starts"] == 0


async def test_a_request_over_the_tier_is_named(simulated: GlmModel, simulator: Simulator) -> None:
    simulator.control(tier=2, first_token_ms=300, jitter=0.0)
    answers = await asyncio.gather(
        *(ask(simulated, "Say hello.") for _ in range(5)), return_exceptions=True
    )
    refused = [one for one in answers if isinstance(one, errors.ModelOverTier)]
    assert [error.provider_code for error in refused] == ["1302"] * 3


async def test_the_request_is_what_the_endpoint_documents_and_nothing_else(
    simulated: GlmModel, simulator: Simulator
) -> None:
    await ask(simulated, "Say hello.", temperature=0.456)
    body = simulator.requests()[-1]["body"]
    assert sorted(body) == [
        "max_tokens", "messages", "model", "request_id", "stream", "temperature", "user_id",
    ]  # fmt: skip
    assert body["temperature"] == 0.46
