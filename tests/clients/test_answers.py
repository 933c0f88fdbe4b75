"""From bytes to events: text whole, halves of emoji joined, both error shapes, the open end."""

import json
from typing import Any

import pytest

from service.clients.answers import AnswerReader
from service.core import errors
from service.core.model import (
    Finished,
    ModelEvent,
    Source,
    TextDelta,
    ToolCall,
    ToolCalls,
    Usage,
)
from tests.clients.raw_server import DONE, event, frame, last


def read(*pieces: bytes) -> tuple[list[ModelEvent], errors.ModelError | None]:
    """Every event of a stream, with neighbouring deltas joined, and its error."""
    reader = AnswerReader()
    events = [one for piece in pieces for one in reader.feed(piece)] + reader.close()
    joined: list[ModelEvent] = []
    for one in events:
        if isinstance(one, TextDelta) and joined and isinstance(joined[-1], TextDelta):
            joined[-1] = TextDelta(joined[-1].text + one.text)
        else:
            joined.append(one)
    return joined, reader.error


def text_of(*pieces: bytes) -> str:
    events, _ = read(*pieces)
    return "".join(one.text for one in events if isinstance(one, TextDelta))


def escaped(content: str) -> bytes:
    """A frame whose content is the JSON escape that ``content`` is."""
    return b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % content.encode()


ANSWER = (
    b": keep-alive\n\n"
    + frame("")
    + frame("你好, ")
    + event({"id": "x", "choices": []})
    + frame("wörld 😀")
    + escaped("\\ud83d")
    + escaped("\\ude00!")
    + last()
    + DONE
)
EVENTS = [TextDelta("你好, wörld 😀😀!"), Finished("stop", Usage(7, 46))]


def test_an_answer_is_the_same_when_cut_at_every_byte() -> None:
    assert read(ANSWER) == (EVENTS, None)
    for at in range(len(ANSWER)):
        assert read(ANSWER[:at], ANSWER[at:]) == (EVENTS, None), at
    assert read(*(bytes([byte]) for byte in ANSWER)) == (EVENTS, None)


def test_an_answer_with_crlf_is_the_same_when_cut_at_every_byte() -> None:
    answer = ANSWER.replace(b"\n", b"\r\n")
    for at in range(len(answer)):
        assert read(answer[:at], answer[at:]) == (EVENTS, None), at


def test_the_frames_of_one_read_become_one_delta() -> None:
    assert AnswerReader().feed(frame("a") + frame("b") + frame("c")) == [TextDelta("abc")]


def test_done_without_a_blank_line_ends_the_answer() -> None:
    assert read(frame("a") + last() + b"data: [DONE]")[1] is None


def test_nothing_after_done_counts() -> None:
    assert text_of(frame("a") + last() + DONE + frame("b")) == "a"


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["\\ud83d", "\\ude00"], "😀"),
        (["a\\ud83d", "\\ude00b"], "a😀b"),
        (["\\ud83d", "x"], "\ufffdx"),
        (["\\ud83d", "\\ud83d", "\\ude00"], "\ufffd😀"),
        (["\\ude00"], "\ufffd"),
        (["a\\ud83d"], "a\ufffd"),
        (["\\ud83d\\ude00"], "😀"),
        (["\\ud83d", "", "\\ude00"], "😀"),
        (["a\\ud83db"], "a\ufffdb"),
    ],
)
def test_half_a_surrogate_pair_waits_for_the_other_half(pieces: list[str], text: str) -> None:
    frames = [escaped(piece) for piece in pieces]
    assert text_of(*frames, last(), DONE) == text
    assert text_of(b"".join(frames) + last() + DONE) == text


def test_half_a_pair_is_not_shown_before_the_other_half_is_there() -> None:
    reader = AnswerReader()
    assert reader.feed(escaped("a\\ud83d")) == [TextDelta("a")]
    assert reader.feed(event({"choices": []})) == []
    assert reader.feed(escaped("\\ude00")) == [TextDelta("😀")]


def test_half_a_pair_before_a_cut_is_one_replacement_character() -> None:
    events, error = read(escaped("a\\ud83d"))
    assert events == [TextDelta("a\ufffd")]
    assert isinstance(error, errors.ModelCutOff)


def test_broken_bytes_inside_a_frame_become_replacement_characters() -> None:
    broken = b'data: {"choices":[{"delta":{"content":"a\xf0\x9fb"}}]}\n\n'
    assert text_of(broken + last() + DONE) == "a\ufffdb"


def test_finish_reason_may_come_twice_and_usage_late() -> None:
    call = {"id": "call_1_0", "index": 0, "type": "function"}
    call["function"] = {"name": "order", "arguments": '{"id": "7"}'}
    first = frame("Let me look. ", delta={"tool_calls": [call]}, finish_reason="tool_calls")
    events, error = read(first + last("tool_calls") + DONE)
    assert error is None
    assert events == [
        TextDelta("Let me look. "),
        ToolCalls((ToolCall("call_1_0", "order", '{"id": "7"}'),)),
        Finished("tool_calls", Usage(7, 46)),
    ]


def test_tool_calls_in_fragments_are_put_together() -> None:
    fragments = [
        {"index": 0, "id": "a", "function": {"name": "order", "arguments": ""}},
        {"index": 1, "id": "b", "function": {"name": "stock", "arguments": {"sku": "é"}}},
        {"index": 0, "function": {"arguments": '{"id'}},
        {"index": 0, "function": {"arguments": '": 7}'}},
    ]
    frames = [frame(delta={"tool_calls": [fragment]}) for fragment in fragments]
    events, _ = read(*frames, last("tool_calls"), DONE)
    assert events[0] == ToolCalls(
        (ToolCall("a", "order", '{"id": 7}'), ToolCall("b", "stock", '{"sku": "é"}'))
    )


def test_tool_calls_without_an_index_are_separate_calls() -> None:
    calls = [
        {"id": "a", "function": {"name": "order", "arguments": "{}"}},
        {"id": "b", "function": {"name": "stock", "arguments": "{}"}},
    ]
    events, _ = read(frame(delta={"tool_calls": calls}) + last("tool_calls") + DONE)
    assert events[0] == ToolCalls((ToolCall("a", "order", "{}"), ToolCall("b", "stock", "{}")))


@pytest.mark.parametrize("reason", ["sensitive", "network_error", "length", "something_new"])
def test_the_finish_reason_is_the_providers_own_word(reason: str) -> None:
    events, error = read(frame("a") + last(reason, usage=None) + DONE)
    assert events[-1] == Finished(reason, Usage())
    assert error is None


def test_cached_model_tokens_are_counted() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": None}
    assert read(last(usage=usage) + DONE)[0] == [Finished("stop", Usage(9, 2, 0))]
    usage["prompt_tokens_details"] = {"cached_tokens": 5}  # type: ignore[assignment]
    assert read(last(usage=usage) + DONE)[0] == [Finished("stop", Usage(9, 2, 5))]


def test_numbers_as_strings_are_numbers() -> None:
    usage = {"prompt_tokens": "9", "completion_tokens": 2}
    assert read(last(usage=usage) + DONE)[0] == [Finished("stop", Usage(9, 2, 0))]


def test_only_sources_that_can_be_opened_are_given() -> None:
    found: list[Any] = [
        {"title": "Wool", "link": "https://a.example/wool", "content": "x" * 5000},
        {"title": "Empty", "link": ""},
        {"title": "Script", "link": "javascript:alert(1)"},
        {"title": "", "link": "https://b.example/"},
        {"title": "Again", "link": "https://a.example/wool"},
        {"title": "Broken", "link": "http://[::1"},
        {"title": "Space", "link": "https://a.example/ x"},
        {"link": "https://c.example/"},
        "nonsense",
        {"title": " Silk ", "link": "http://d.example/"},
    ]
    events, _ = read(last(web_search=found) + DONE)
    sources = (Source("Wool", "https://a.example/wool"), Source("Silk", "http://d.example/"))
    assert events == [Finished("stop", Usage(7, 46), sources)]
    assert read(last(web_search="?") + DONE)[0] == [Finished("stop", Usage(7, 46))]
    assert read(event({"web_search": found}) + last() + DONE)[0] == events


@pytest.mark.parametrize("reason", [None, "stop"])
def test_an_end_without_done_is_a_cut(reason: str | None) -> None:
    events, error = read(frame("a") + (last(reason) if reason else b""))
    assert events == [TextDelta("a")]
    assert isinstance(error, errors.ModelCutOff)


def test_an_empty_stream_is_a_cut() -> None:
    assert isinstance(read()[1], errors.ModelCutOff)


@pytest.mark.parametrize("tail", [b"", b"\n\n", b"\n\n" + frame("b") + last() + DONE])
def test_a_truncated_frame_is_a_cut_and_what_came_before_it_stays(tail: bytes) -> None:
    events, error = read(frame("a") + frame("never shown")[:60] + tail)
    assert events == [TextDelta("a")]
    assert isinstance(error, errors.ModelCutOff)


@pytest.mark.parametrize("payload", [b"[]", b"7", b'"x"', b'{"choices": 7}', b"{" * 3000])
def test_a_frame_that_is_no_answer_is_a_cut(payload: bytes) -> None:
    assert isinstance(read(b"data: " + payload + b"\n\n" + DONE)[1], errors.ModelCutOff)


def test_an_endless_frame_is_a_cut() -> None:
    reader = AnswerReader()
    for _ in range(40):
        reader.feed(b"data: " + b"x" * 50_000)
    assert isinstance(reader.error, errors.ModelCutOff)


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        ({"error": {"code": "1302", "message": "并发数过高"}}, errors.ModelOverTier, "1302"),
        ({"error": {"code": 1305, "message": "busy"}}, errors.ModelOverloaded, "1305"),
        ({"code": 1301, "message": "no"}, errors.ModelRefused, "1301"),
        ({"code": "500", "msg": "oops"}, errors.ModelOverloaded, "500"),
        ({"error": "overloaded"}, errors.ModelOverloaded, ""),
        ({"error": {"message": "overloaded", "type": "x"}}, errors.ModelOverloaded, ""),
        ({"error": {"code": "1234"}, "choices": []}, errors.ModelOverloaded, "1234"),
    ],
)
def test_an_error_in_the_stream_ends_it_after_its_text(
    body: dict[str, Any], kind: type[errors.ModelError], code: str
) -> None:
    for named in (b"", b"event: error\n"):
        events, error = read(frame("a") + named + event(body) + frame("b") + DONE)
        assert events == [TextDelta("a")]
        assert type(error) is kind
        assert error is not None
        assert error.provider_code == code


def test_an_error_event_without_json_is_an_error_too() -> None:
    _, error = read(b"event: error\ndata: {}\n\n")
    assert isinstance(error, errors.ModelOverloaded)


def test_null_errors_and_zero_codes_are_none() -> None:
    harmless = event({"error": None, "choices": []}) + event({"code": 200, "message": "ok"})
    assert text_of(harmless + frame("a") + last() + DONE) == "a"


def test_an_answer_in_one_piece_gives_the_same_events() -> None:
    message = {"role": "assistant", "content": "Hello 😀"}
    body = {
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 46, "total_tokens": 53},
    }
    reader = AnswerReader()
    events = reader.whole(json.dumps(body).encode())
    assert events == [TextDelta("Hello 😀"), Finished("stop", Usage(7, 46))]
    assert reader.error is None


@pytest.mark.parametrize("body", [b"<html>welcome</html>", b"{}", b"", b'{"choices": []}'])
def test_something_else_with_status_200_is_no_answer(body: bytes) -> None:
    reader = AnswerReader()
    assert reader.whole(body) == []
    assert isinstance(reader.error, errors.ModelUnreachable)


def test_an_error_with_status_200_is_that_error() -> None:
    reader = AnswerReader()
    body = {"contentFilter": [{"level": 1, "role": "user"}], "error": {"code": "1301"}}
    assert reader.whole(json.dumps(body).encode()) == []
    assert isinstance(reader.error, errors.ModelRefused)
