"""Every failure that can be asked for, on the wire."""

import json
import time

import httpx
import pytest

from service.simulator.faults import FaultError, make_fault, marked, parse_spec, unmarked
from tests.simulator.api import KEY, Api, code_of, question


def whole(api: Api) -> str:
    """What is said without a fault."""
    return api.stream("hello").text


def test_a_fault_comes_by_header_by_marker_and_by_control(api: Api, simulator) -> None:
    assert code_of(api.post(question("hello"), simulate="1305")) == "1305"
    assert code_of(api.post(question("hello [[simulate:1305]]"))) == "1305"
    simulator.control(faults=[{"kind": "1305"}])
    assert code_of(api.post(question("hello"))) == "1305"
    assert api.post(question("hello")).status_code == 200


def test_a_marker_counts_in_the_newest_message_only_and_is_not_answered(api: Api) -> None:
    assert api.ask("hello [[simulate:1305]]", "thanks [[simulate:comments]]").startswith("You're")


def test_an_unknown_fault_is_refused_with_the_known_ones(api: Api) -> None:
    response = api.post(question("hello [[simulate:explode]]"))
    assert (response.status_code, code_of(response)) == (400, "1210")
    assert "'explode'; known are stall" in response.json()["error"]["message"]
    response = api.post(question("hello"), simulate="stall before=3")
    assert "stall takes after, for, not 'before'" in response.json()["error"]["message"]


@pytest.mark.parametrize("kind", ["eof", "cut"])
def test_a_stream_may_end_without_done(api: Api, kind: str) -> None:
    answer = api.stream("hello", simulate=f"{kind} after=4")
    assert len(answer.chunks) == 4
    assert not answer.done
    assert answer.reasons == []
    assert answer.complete == (kind == "eof")


@pytest.mark.parametrize("kind", ["eof", "cut"])
def test_a_whole_answer_may_be_cut(api: Api, kind: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        api.post(question("hello"), simulate=kind)


def test_a_frame_may_stop_in_mid_json(api: Api) -> None:
    answer = api.stream("hello", simulate="truncated after=3")
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.data[3])
    assert answer.done
    ended = api.stream("hello", simulate="truncated after=3 end=1")
    assert len(ended.data) == 4
    with pytest.raises(json.JSONDecodeError):
        api.post(question("hello"), simulate="truncated").json()


def test_comments_stand_between_frames(api: Api) -> None:
    answer = api.stream("hello", simulate="comments every=2")
    assert answer.lines.count(": keep-alive") > 3
    assert answer.text == whole(api)
    assert answer.done


def test_frames_without_choices_stand_between_the_others(api: Api) -> None:
    answer = api.stream("hello", simulate="empty_choices")
    assert [chunk["choices"] for chunk in answer.chunks].count([]) > 2
    assert answer.text == whole(api)
    assert api.post(question("hello"), simulate="empty_choices").json()["choices"] == []


def test_text_may_come_byte_by_byte_with_carriage_returns(api: Api, simulator) -> None:
    simulator.control(scripts=[{"match": "hi", "text": "好的 🇳🇴 ok"}])
    sizes = []
    headers = {"X-Simulate": "split"}
    body = question("hi", stream=True)
    with api.client.stream("POST", "/chat/completions", json=body, headers=headers) as answer:
        pieces = list(answer.iter_raw())
    sizes = [len(piece) for piece in pieces]
    raw = b"".join(pieces)
    assert max(sizes) < 64 and sizes.count(1) > len(raw) // 4
    assert raw.endswith(b"data: [DONE]\r\n\r\n")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert "好的".encode() in raw


def test_pieces_may_be_larger_and_line_ends_plain(api: Api) -> None:
    answer = api.stream("hello", simulate="split bytes=7 crlf=0")
    assert b"\r" not in answer.raw
    assert answer.text == whole(api)


@pytest.mark.parametrize("kind", ["sensitive", "network_error"])
def test_the_model_may_stop_in_mid_answer(api: Api, kind: str) -> None:
    answer = api.stream("hello", simulate=f"{kind} after=3")
    assert len(answer.chunks) == 4
    assert answer.reasons == [kind]
    assert answer.done
    last = answer.chunks[-1]
    if kind == "sensitive":
        assert last["usage"] is None
        assert last["content_filter"] == [{"role": "user", "level": 1}]
    else:
        assert last["usage"]["completion_tokens"] == 3
    choice = api.post(question("hello"), simulate=f"{kind} after=3").json()["choices"][0]
    assert choice["finish_reason"] == kind
    assert whole(api).startswith(choice["message"]["content"])


@pytest.mark.parametrize("event", [0, 1])
def test_an_error_may_come_within_the_stream(api: Api, event: int) -> None:
    answer = api.stream("hello", simulate=f"error_inband after=2 code=1305 event={event}")
    assert json.loads(answer.data[-1])["error"]["code"] == "1305"
    assert len(answer.data) == 3
    assert ("event: error" in answer.lines) == bool(event)


def test_an_emoji_may_be_cut_in_half(api: Api) -> None:
    answer = api.stream("hello", simulate="half_emoji after=2")
    assert b'"\\ud83d"' in answer.raw and b'"\\ude00"' in answer.raw
    assert answer.text.encode("utf-16", "surrogatepass").decode("utf-16").count("😀") == 1
    lone = api.stream("hello", simulate="half_emoji after=2 lone=1")
    assert b'"\\ud83d"' in lone.raw and b"\\ude00" not in lone.raw


def test_an_answer_may_be_empty(api: Api) -> None:
    answer = api.stream("hello", simulate="empty")
    assert (answer.text, answer.reasons, answer.done) == ("", ["stop"], True)
    assert api.ask("hello", simulate="empty") == ""


def test_several_faults_act_together(api: Api) -> None:
    answer = api.stream("hello", simulate="comments; half_emoji after=1; network_error after=3")
    assert ": keep-alive" in answer.lines
    assert "\ud83d" in answer.text
    assert answer.reasons == ["network_error"]


def test_an_answer_may_have_a_given_length_and_pace(api: Api) -> None:
    begun = time.monotonic()
    answer = api.stream("hello", simulate="long tokens=40; pace tokens_per_second=200")
    assert answer.chunks[-1]["usage"]["completion_tokens"] == 40
    assert time.monotonic() - begun > 0.1  # 39 gaps of 5 ms


def test_a_stream_may_fall_silent_and_go_on(api: Api) -> None:
    begun = time.monotonic()
    answer = api.stream("hello", simulate="stall after=2 for=0.2")
    assert time.monotonic() - begun >= 0.2
    assert answer.text == whole(api)
    assert answer.done


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_request_may_hang_before_its_headers(api: Api, simulator, stream: bool) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{simulator.base}/chat/completions",
            json=question("hello", stream=stream),
            headers={"Authorization": f"Bearer {KEY}", "X-Simulate": "hang"},
            timeout=0.1,
            verify=False,
        )
    begun = time.monotonic()
    assert api.post(question("hello"), simulate="hang for=0.1").status_code == 200
    assert time.monotonic() - begun >= 0.1


def test_standing_faults_say_for_which_requests_they_are(api: Api, simulator) -> None:
    simulator.control(
        faults=[
            {"kind": "1302", "times": 2, "match": "Norway"},
            {"kind": 500, "skip": 1},
            {"kind": "1113", "times": -1, "model": "glm-4-plus"},
        ]
    )
    assert api.post(question("hello")).status_code == 200  # skipped once
    answers = [code_of(api.post(question("to Norway?"))) for _ in range(3)]
    assert answers == ["1302", "1302", "500"]
    for _ in range(3):
        assert code_of(api.post(question("hello", model="glm-4-plus"))) == "1113"
    assert api.post(question("to Norway?")).status_code == 200
    left = simulator.control()["faults"]
    assert [fault["kind"] for fault in left] == ["1113"]


def test_chance_is_drawn_from_the_seed(api: Api, simulator) -> None:
    def run(seed: int) -> list[int]:
        simulator.control(seed=seed, faults=[{"kind": "500", "times": -1, "probability": 0.5}])
        return [api.post(question("hello")).status_code for _ in range(12)]

    first = run(3)
    assert set(first) == {200, 500}
    assert run(3) == first
    assert run(4) != first


def test_a_duplicate_request_id_is_refused_while_the_first_is_in_flight(api, simulator) -> None:
    simulator.control(duplicate_request_id="refuse")
    body = question("hello", stream=True, request_id="the-same")
    headers = {"X-Simulate": "stall after=1"}
    with api.client.stream("POST", "/chat/completions", json=body, headers=headers):
        response = api.post(question("hello", request_id="the-same"))
        assert response.status_code == 400
        assert response.json() == {"error": {"code": "1231", "message": "您已有请求：the-same"}}
        assert api.post(question("hello", request_id="another")).status_code == 200


@pytest.mark.parametrize(
    "spec",
    [
        "stall after",
        "stall after=x",
        "comments every=0",
        "repeat words=0",
        "exact words=3",
        "error_200 code=7",
        "1302 after=1",
    ],
)
def test_a_wrong_spec_raises(spec: str) -> None:
    with pytest.raises(FaultError):
        parse_spec(spec)


def test_specs_are_read_with_their_defaults() -> None:
    stall, comments = parse_spec(" stall after=2 ; ; comments")
    assert (stall.kind, stall.number("after"), stall.number("for")) == ("stall", 2, -1)
    assert comments == make_fault("comments", {})


def test_markers_are_taken_out_of_the_text() -> None:
    assert marked("a [[simulate:1302]] b") == ("a b", [make_fault("1302", {})])
    assert unmarked("a [[simulate:nonsense]]") == "a"
