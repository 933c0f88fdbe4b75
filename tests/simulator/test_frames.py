"""The stream's literal shapes."""

import json
import re

from tests.simulator.api import MODEL, Api, question

HI = {"match": "hi", "text": "好的 ok"}
ID = r"\d{14}[0-9a-f]{16}"


def first_chunk(api: Api) -> str:
    return api.stream("hi").data[0]


def test_a_text_chunk_has_the_captured_shape(api: Api, simulator) -> None:
    simulator.control(scripts=[HI])
    assert re.fullmatch(
        rf'{{"id":"{ID}","created":\d+,"object":"chat.completion.chunk","model":"{MODEL}",'
        r'"choices":\[{"index":0,"delta":{"role":"assistant","content":"好的"}}\]}',
        first_chunk(api),
    )


def test_the_object_field_and_a_null_finish_reason_are_switches(api: Api, simulator) -> None:
    simulator.control(scripts=[HI], object_field=False, finish_reason="null")
    assert re.fullmatch(
        rf'{{"id":"{ID}","created":\d+,"model":"{MODEL}","choices":\[{{"index":0,'
        r'"finish_reason":null,"delta":{"role":"assistant","content":"好的"}}\]}',
        first_chunk(api),
    )


def test_the_last_chunk_has_reason_and_usage_and_done_follows(api: Api, simulator) -> None:
    simulator.control(scripts=[HI])
    answer = api.stream("hi", messages=[{"role": "user", "content": "hi"}])
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    *_, last, done = answer.data
    assert re.fullmatch(
        rf'{{"id":"{ID}","created":\d+,"object":"chat.completion.chunk","model":"{MODEL}",'
        r'"choices":\[{"index":0,"finish_reason":"stop","delta":{"role":"assistant","content":""}}\],'
        r'"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7,'
        r'"prompt_tokens_details":{"cached_tokens":0}}}',
        last,
    )
    assert done == "[DONE]"
    assert answer.raw.endswith(b"data: [DONE]\n\n")
    assert answer.raw.count(b"\n\n") == len(answer.data)


def test_every_chunk_has_the_same_identity_and_repeats_the_role(api: Api) -> None:
    chunks = api.stream("hello").chunks
    assert len(chunks) > 10
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    assert {chunk["choices"][0]["delta"]["role"] for chunk in chunks} == {"assistant"}


def test_the_id_begins_with_the_time_in_beijing(api: Api) -> None:
    chunk = api.stream("hello").chunks[0]
    minute = (chunk["created"] + 8 * 3600) // 60 % 60
    assert int(chunk["id"][10:12]) == minute


def test_a_whole_answer_has_the_documented_fields(api: Api, simulator) -> None:
    simulator.control(scripts=[HI])
    body = api.post(question("hi", request_id="my-request")).json()
    assert body["request_id"] == "my-request"
    assert body["object"] == "chat.completion"
    assert body["choices"] == [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "好的 ok"},
        }
    ]
    assert set(body) == {"choices", "created", "id", "model", "object", "request_id", "usage"}


def test_a_request_without_an_id_is_given_one(api: Api) -> None:
    assert re.fullmatch(ID, api.post(question("hello")).json()["request_id"])


def test_stream_and_whole_answer_say_the_same(api: Api) -> None:
    assert api.stream("How long does delivery to Norway take?").text == api.ask(
        "How long does delivery to Norway take?"
    )


def test_a_tool_call_comes_whole_in_one_chunk_and_the_reason_twice(api: Api, simulator) -> None:
    arguments = {"order_number": "NL-1234", "note": "é"}
    call = {"name": "find_order", "arguments": arguments}
    simulator.control(scripts=[{"match": "hi", "text": "Let me look.", "tool_calls": [call]}])
    answer = api.stream("hi")
    *texts, calling, last = answer.chunks
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in texts) == "Let me look."
    choice = calling["choices"][0]
    identity = calling["id"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["delta"]["tool_calls"] == [
        {
            "id": f"call_{identity}_0",
            "index": 0,
            "type": "function",
            "function": {"name": "find_order", "arguments": json.dumps(
                arguments, ensure_ascii=False, separators=(",", ":"))},
        }
    ]  # fmt: skip
    assert "usage" not in calling
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    assert last["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert last["usage"]["completion_tokens"] > 0
    assert answer.reasons == ["tool_calls", "tool_calls"]
    assert answer.done


def test_several_tool_calls_have_ids_and_indexes_of_their_own(api: Api, simulator) -> None:
    calls = [{"name": "a", "arguments": {}}, {"name": "b", "arguments": "{}"}]
    simulator.control(scripts=[{"match": "hi", "tool_calls": calls}])
    message = api.post(question("hi")).json()["choices"][0]["message"]
    assert [call["index"] for call in message["tool_calls"]] == [0, 1]
    assert [call["id"][-2:] for call in message["tool_calls"]] == ["_0", "_1"]
    assert message["content"] == ""


def test_the_answer_is_cut_at_max_tokens_with_reason_length(api: Api) -> None:
    answer = api.stream("hello", max_tokens=5)
    assert answer.reasons == ["length"]
    assert len(answer.chunks) == 6
    assert answer.chunks[-1]["usage"]["completion_tokens"] == 5


def test_the_answer_ends_before_its_stop(api: Api) -> None:
    whole = api.ask("hello")
    cut = api.stream("hello", stop=["What"])
    assert cut.text == whole[: whole.index("What")]
    assert cut.reasons == ["stop"]
