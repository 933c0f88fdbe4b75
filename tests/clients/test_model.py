"""The client against a server that misbehaves byte by byte: clocks, aborts, refusals, the pool."""

import asyncio
import json
import logging
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.clients import transport
from service.clients.model import GlmModel
from service.clients.patience import Patience
from service.core import errors
from service.core.model import Finished, ModelEvent, ModelRequest, TextDelta, Usage
from tests.clients.raw_server import (
    DONE,
    END,
    HEAD,
    Answer,
    Line,
    RawServer,
    Seen,
    chunked,
    event,
    frame,
    last,
    plain,
    raw_server,
)
from tests.support.eventually import eventually

KEY = "0123456789abcdef.SecretSecret42"
SHORT = Patience(connect_s=2.0, first_s=1.0, silence_s=0.6)
AT_ONCE_S = 0.1  # how soon an abort is seen; the best of TRIES, as machines are busy
TRIES = 5


def request(**fields: Any) -> ModelRequest:
    known = {"max_tokens": 800, "user_id": "customer-1", "request_id": "request-1"}
    return ModelRequest(messages=[{"role": "user", "content": "hi"}], **(known | fields))


@asynccontextmanager
async def model_of(
    answer: Answer, patience: Patience | None = None
) -> AsyncIterator[tuple[GlmModel, RawServer]]:
    async with (
        raw_server(answer) as server,
        GlmModel.open(server.url, KEY, "glm-4-flashx-250414", 50, patience=patience) as model,
    ):
        yield model, server


async def ask(model: GlmModel, within: float = 10.0, **fields: Any) -> list[ModelEvent]:
    async with model.stream(request(**fields), deadline=time.monotonic() + within) as events:
        return [one async for one in events]


def text_of(events: list[ModelEvent]) -> str:
    return "".join(one.text for one in events if isinstance(one, TextDelta))


async def whole_answer(line: Line, seen: Seen) -> None:
    await line.send(HEAD + chunked(frame("Hel")) + chunked(frame("lo")))
    await line.send(chunked(last() + DONE) + END)


async def hang(line: Line, seen: Seen) -> None:
    await asyncio.Event().wait()


def failing(raw: bytes) -> Answer:
    async def answer(line: Line, seen: Seen) -> None:
        await line.send(raw)

    return answer


# -- what is asked, and what comes back ------------------------------------------------------


async def test_an_answer_comes_as_deltas_and_one_finished() -> None:
    async with model_of(whole_answer) as (model, server):
        events = await ask(model)
    assert text_of(events) == "Hello"
    assert events[-1] == Finished("stop", Usage(7, 46))
    seen = server.seen[0]
    assert seen.path == "/api/paas/v4/chat/completions"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.body == {
        "model": "glm-4-flashx-250414",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "max_tokens": 800,
        "request_id": "request-1",
        "user_id": "customer-1",
    }


async def test_an_answer_in_pieces_of_one_byte_is_the_same() -> None:
    async def answer(line: Line, seen: Seen) -> None:
        await line.send(HEAD)
        raw = frame("好的 ") + frame("😀") + last() + DONE
        await line.pieces(raw.replace(b"\n", b"\r\n"))
        await line.send(END)

    async with model_of(answer) as (model, _):
        events = await ask(model)
    assert text_of(events) == "好的 😀"


async def test_a_token_is_given_before_the_next_one_is_there() -> None:
    go = asyncio.Event()

    async def answer(line: Line, seen: Seen) -> None:
        await line.send(HEAD + chunked(frame("first")))
        await go.wait()
        await line.send(chunked(frame("second") + last() + DONE) + END)

    async with model_of(answer) as (model, _):
        deadline = time.monotonic() + 10
        async with model.stream(request(), deadline=deadline) as events:
            assert await anext(events) == TextDelta("first")
            go.set()
            assert await anext(events) == TextDelta("second")


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"temperature": 0.123}, {"temperature": 0.12}),
        ({"temperature": 0.0}, {"temperature": 0.01, "do_sample": False}),
        ({"temperature": 1.0}, {"temperature": 0.99}),
        ({"temperature": 7}, {"temperature": 0.99}),
        ({"max_tokens": 0}, {"max_tokens": 1}),
        ({"max_tokens": 99_999}, {"max_tokens": 16_384}),
        ({"json_object": True}, {"response_format": {"type": "json_object"}}),
        ({"tools": []}, {}),
        (
            {"tools": [{"type": "function"}]},
            {"tools": [{"type": "function"}], "tool_choice": "auto"},
        ),
        ({"tools": [{"type": "web_search"}] * 200}, {"tools": [{"type": "web_search"}] * 128}),
        ({"messages": [{"role": "user", "content": "a\ud83d"}]}, {}),
    ],
)
async def test_parameters_are_kept_inside_the_providers_ranges(
    asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    async with model_of(whole_answer) as (model, server):
        messages = asked.pop("messages", [{"role": "user", "content": "hi"}])
        asked = {"max_tokens": 800, "user_id": "customer-1", "request_id": "request-1"} | asked
        mine = ModelRequest(messages=messages, **asked)
        async with model.stream(mine, deadline=time.monotonic() + 10) as events:
            assert text_of([one async for one in events]) == "Hello"
    body = server.seen[0].body
    assert body.pop("messages")[0]["content"] in ("hi", "a\ufffd")
    always = {"max_tokens": 800, "user_id": "customer-1", "request_id": "request-1"}
    assert body == {"model": "glm-4-flashx-250414", "stream": True, **always, **sent} | (
        {"tool_choice": "auto"} if "tools" in sent else {}
    )


async def test_ids_that_the_provider_would_refuse_are_replaced_by_lasting_ones() -> None:
    async with model_of(whole_answer) as (model, server):
        for name in ("abc", "abc", "ä" * 20, "x" * 65):
            await ask(model, user_id=name, request_id=name)
    names = [seen.body["user_id"] for seen in server.seen]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert all(6 <= len(name) <= 64 and name.isascii() for name in names)
    assert [seen.body["request_id"] for seen in server.seen] == names


@pytest.mark.parametrize("tail", ["", "/", "/v4", "/v4/", "/v4//", "/v4?a=b"])
async def test_the_base_url_may_have_a_path_a_slash_or_a_query(tail: str) -> None:
    async with raw_server(whole_answer) as server:
        base = server.url.removesuffix("/api/paas/v4")
        async with GlmModel.open(base + tail, KEY, "m", 1) as model:
            await ask(model)
    path, _, query = server.seen[0].path.partition("?")
    assert path == ("/v4" if "v4" in tail else "") + "/chat/completions"
    assert query == ("a=b" if "a=b" in tail else "")


async def test_a_prompt_of_megabytes_is_sent_whole() -> None:
    text = "灯塔 " * 500_000
    mine = ModelRequest(
        messages=[{"role": "user", "content": text}],
        max_tokens=1,
        user_id="customer-1",
        request_id="request-1",
    )
    async with (
        model_of(whole_answer) as (model, server),
        model.stream(mine, deadline=time.monotonic() + 10) as events,
    ):
        assert text_of([one async for one in events]) == "Hello"
    assert server.seen[0].body["messages"][0]["content"] == text
    assert "transfer-encoding" not in server.seen[0].headers


async def test_a_compressed_stream_is_read_too() -> None:
    import gzip

    raw = gzip.compress(frame("Hello") + last() + DONE)
    head = HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
    async with model_of(failing(head + chunked(raw) + END)) as (model, _):
        assert text_of(await ask(model)) == "Hello"


async def test_an_answer_in_one_piece_is_read_too() -> None:
    body = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    async with model_of(failing(plain(200, json.dumps(body).encode()))) as (model, _):
        assert await ask(model) == [TextDelta("Hello"), Finished("stop", Usage())]


# -- refusals --------------------------------------------------------------------------------

TABLE = [
    ("500", 500, errors.ModelOverloaded),
    *((code, 401, errors.ModelAccountBlocked) for code in ("1000", "1001", "1002", "1003", "1004")),
    *((code, 429, errors.ModelAccountBlocked) for code in ("1100", "1110", "1111", "1112")),
    *((code, 429, errors.ModelAccountBlocked) for code in ("1113", "1120", "1121", "1304")),
    ("1220", 403, errors.ModelAccountBlocked),
    *((str(code), 429, errors.ModelAccountBlocked) for code in range(1308, 1312)),
    *((str(code), 429, errors.ModelAccountBlocked) for code in range(1313, 1322)),
    *((code, 500, errors.ModelOverloaded) for code in ("1200", "1230", "1234")),
    *((code, 429, errors.ModelOverloaded) for code in ("1305", "1312")),
    *((str(code), 400, errors.ModelRejected) for code in range(1210, 1216)),
    *((code, 400, errors.ModelRejected) for code in ("1221", "1222", "1231")),
    ("1261", 400, errors.ModelContextTooLong),
    *((code, 400, errors.ModelRefused) for code in ("1300", "1301")),
    *((code, 429, errors.ModelOverTier) for code in ("1302", "1303")),
    ("9999", 429, errors.ModelOverloaded),
    ("9999", 400, errors.ModelRejected),
    ("invalid_api_key", 401, errors.ModelAccountBlocked),
]


@pytest.mark.parametrize("shape", ["nested", "number", "flat", "status 200", "in the stream"])
async def test_every_code_of_the_table_is_one_of_our_errors_in_every_shape(shape: str) -> None:
    bodies: dict[str, bytes] = {}

    async def answer(line: Line, seen: Seen) -> None:
        await line.send(bodies["next"])

    async with model_of(answer) as (model, _):
        for code, status, kind in TABLE:
            if shape in ("status 200", "in the stream") and not code.isdigit():
                continue
            said: Any = {"error": {"code": code, "message": "您的账户"}}
            if shape == "number" and code.isdigit():
                said["error"]["code"] = int(code)
            if shape == "flat":
                said = {"code": code, "message": "您的账户", "success": False}
            raw = plain(200 if shape == "status 200" else status, json.dumps(said).encode())
            if shape == "in the stream":
                raw = HEAD + chunked(event(said)) + END
            bodies["next"] = raw
            expected = kind
            if code == "9999" and shape in ("status 200", "in the stream"):
                expected = errors.ModelOverloaded  # no status to go by
            with pytest.raises(errors.ModelError) as caught:
                await ask(model)
            assert type(caught.value) is expected, code
            assert caught.value.provider_code == code
            assert code in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, errors.ModelOverloaded),
        (502, errors.ModelOverloaded),
        (503, errors.ModelOverloaded),
        (401, errors.ModelAccountBlocked),
        (403, errors.ModelAccountBlocked),
        (404, errors.ModelRejected),
        (302, errors.ModelRejected),
        (434, errors.ModelRejected),
    ],
)
async def test_a_refusal_without_a_code_is_named_by_its_status(
    status: int, kind: type[errors.ModelError]
) -> None:
    for body in (b"<html><h1>No</h1></html>", b"", b"[1]", b"{}", b"\xff\xfe", b"[" * 5000):
        async with model_of(failing(plain(status, body, "text/html"))) as (model, _):
            with pytest.raises(errors.ModelError) as caught:
                await ask(model)
        assert type(caught.value) is kind
        assert caught.value.provider_code == ""
        assert str(status) in str(caught.value)


async def test_html_with_status_200_is_no_answer() -> None:
    page = plain(200, b"<html>Sign in to this network</html>", "text/html")
    async with model_of(failing(page)) as (model, _):
        with pytest.raises(errors.ModelUnreachable):
            await ask(model)


async def test_a_refusal_that_breaks_off_is_still_named_by_its_status() -> None:
    head = b"HTTP/1.1 429 X\r\ncontent-length: 500\r\n\r\n{"

    async def answer(line: Line, seen: Seen) -> None:
        await line.send(head)
        line.writer.close()

    async with model_of(answer) as (model, _):
        with pytest.raises(errors.ModelOverloaded):
            await ask(model)


# -- clocks ----------------------------------------------------------------------------------


async def test_nobody_listening_is_unreachable(free_port: int) -> None:
    async with GlmModel.open(f"http://127.0.0.1:{free_port}", KEY, "m", 1) as model:
        with pytest.raises(errors.ModelUnreachable) as caught:
            await ask(model)
    assert caught.value.__cause__ is not None


async def test_a_name_that_does_not_exist_is_unreachable() -> None:
    async with GlmModel.open("http://no-such-host.invalid", KEY, "m", 1, patience=SHORT) as model:
        with pytest.raises(errors.ModelUnreachable):
            await ask(model)


async def test_a_hang_before_the_headers_is_unreachable_and_closes_the_connection() -> None:
    async with model_of(hang, SHORT) as (model, server):
        started = time.monotonic()
        with pytest.raises(errors.ModelUnreachable):
            await ask(model)
        assert SHORT.first_s <= time.monotonic() - started < SHORT.first_s + 2
        await eventually(lambda: server.seen[0].closed_at)


async def test_a_connection_that_ends_before_the_headers_is_unreachable() -> None:
    async def answer(line: Line, seen: Seen) -> None:
        line.writer.close()

    async with model_of(answer) as (model, _):
        with pytest.raises(errors.ModelUnreachable):
            await ask(model)


async def test_something_that_is_no_http_is_unreachable() -> None:
    async with model_of(failing(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")) as (model, _):
        with pytest.raises(errors.ModelUnreachable):
            await ask(model)


@pytest.mark.parametrize("comments", [False, True])
async def test_headers_and_then_no_token_is_a_stall(comments: bool) -> None:
    async def answer(line: Line, seen: Seen) -> None:
        await line.send(HEAD)
        while comments:  # they keep a line open, and are no token
            await line.send(chunked(b": keep-alive\n\n" + event({"choices": []})))
            await asyncio.sleep(0.02)
        await hang(line, seen)

    async with model_of(answer, SHORT) as (model, server):
        with pytest.raises(errors.ModelStalled):
            await ask(model)
        await eventually(lambda: server.seen[0].closed_at)


async def test_silence_within_an_answer_is_a_stall_after_its_text() -> None:
    async def answer(line: Line, seen: Seen) -> None:
        await line.send(HEAD)
        for _ in range(12):  # longer than either clock in all, yet never silent for so long
            await line.send(chunked(frame("a")))
            await asyncio.sleep(0.1)
        await hang(line, seen)

    got = ""
    async with model_of(answer, SHORT) as (model, server):
        with pytest.raises(errors.ModelStalled):
            async with model.stream(request(), deadline=time.monotonic() + 10) as events:
                async for one in events:
                    assert isinstance(one, TextDelta)
                    got += one.text
                    heard = time.monotonic()
        took = time.monotonic() - heard
        await eventually(lambda: server.seen[0].closed_at)
    assert got == "a" * 12
    assert SHORT.silence_s - 0.02 <= took < SHORT.silence_s + 2


async def test_a_slow_caller_is_not_the_models_silence() -> None:
    async with (
        model_of(whole_answer, SHORT) as (model, _),
        model.stream(request(), deadline=time.monotonic() + 10) as events,
    ):
        first = await anext(events)
        slow_until = time.monotonic() + 2 * SHORT.silence_s
        await eventually(lambda: time.monotonic() > slow_until)
        rest = [one async for one in events]
    assert text_of([first, *rest]) == "Hello"


async def endless(line: Line, seen: Seen) -> None:
    await line.send(HEAD)
    while True:
        await line.send(chunked(frame("a")))
        await asyncio.sleep(0.01)


async def test_the_deadline_ends_an_answer_that_goes_on() -> None:
    async with model_of(endless) as (model, server):
        started = time.monotonic()
        with pytest.raises(errors.ModelCutOff):
            await ask(model, within=0.3)
        assert 0.3 <= time.monotonic() - started < 2
        await eventually(lambda: server.seen[0].closed_at)


async def test_the_deadline_closes_the_connection_even_while_nobody_reads() -> None:
    async with model_of(endless) as (model, server):
        deadline = time.monotonic() + 0.3
        async with model.stream(request(), deadline=deadline) as events:
            await anext(events)
            await eventually(lambda: server.seen[0].closed_at)
            assert (server.seen[0].closed_at or 0) < deadline + 1
            with pytest.raises(errors.ModelCutOff):
                async for _ in events:
                    pass


async def test_a_deadline_that_has_passed_sends_nothing() -> None:
    async with model_of(whole_answer) as (model, server):
        with pytest.raises(errors.ModelUnreachable):
            await ask(model, within=-1.0)
    assert server.seen == []


async def test_a_refusal_that_never_ends_is_cut_and_named() -> None:
    async def answer(line: Line, seen: Seen) -> None:
        await line.send(b"HTTP/1.1 503 X\r\ncontent-length: 500\r\n\r\n{")
        await hang(line, seen)

    async with model_of(answer, SHORT) as (model, server):
        with pytest.raises(errors.ModelOverloaded):
            await ask(model)
        await eventually(lambda: server.seen[0].closed_at)


# -- cuts and aborts -------------------------------------------------------------------------


@pytest.mark.parametrize("clean", [True, False])
async def test_an_end_without_done_is_a_cut_after_its_text(clean: bool) -> None:
    async def answer(line: Line, seen: Seen) -> None:
        await line.send(HEAD + chunked(frame("Hel")) + (END if clean else b""))
        if not clean:
            line.writer.close()

    got = ""
    async with model_of(answer) as (model, _):
        with pytest.raises(errors.ModelCutOff):
            async with model.stream(request(), deadline=time.monotonic() + 10) as events:
                async for one in events:
                    assert isinstance(one, TextDelta)
                    got += one.text
    assert got == "Hel"


async def test_broken_chunks_are_a_cut_or_a_stall() -> None:
    """httpx's transport may not tell them from silence; either way the answer is not whole."""
    read = asyncio.Event()

    async def answer(line: Line, seen: Seen) -> None:
        await line.send(HEAD + chunked(frame("Hel")))
        await read.wait()
        await line.send(b"zz\r\nnonsense")
        await hang(line, seen)

    async with model_of(answer, SHORT) as (model, server):
        with pytest.raises((errors.ModelCutOff, errors.ModelStalled)):
            async with model.stream(request(), deadline=time.monotonic() + 10) as events:
                assert await anext(events) == TextDelta("Hel")
                read.set()
                await anext(events)
        await eventually(lambda: server.seen[0].closed_at)


async def fast(seconds: Callable[[], Awaitable[float]]) -> bool:
    """Whether the best of some tries was at once."""
    for _ in range(TRIES):
        if await seconds() < AT_ONCE_S:
            return True
    return False


async def seconds_to_close(model: GlmModel, server: RawServer) -> float:
    """From leaving an answer after its first delta until the server has seen it."""
    async with model.stream(request(), deadline=time.monotonic() + 10) as events:
        assert isinstance(await anext(events), TextDelta)
    left = time.monotonic()
    await eventually(lambda: server.open_now == 0, every=0.002)
    return time.monotonic() - left


async def hang_after_a_token(line: Line, seen: Seen) -> None:
    await line.send(HEAD + chunked(frame("a")))
    await hang(line, seen)


async def flood(line: Line, seen: Seen) -> None:
    """More than anybody reads: the socket's buffers are full on both sides."""
    await line.send(HEAD)
    line.writer.transport.set_write_buffer_limits(high=0)
    while True:
        await line.send(chunked(frame("a" * 10_000)))


@pytest.mark.parametrize("answer", [hang_after_a_token, endless, flood])
async def test_leaving_the_context_closes_the_connection_at_once(answer: Answer) -> None:
    async with model_of(answer) as (model, server):
        assert await fast(lambda: seconds_to_close(model, server))
        assert server.connections == len(server.seen)  # none is used again


@pytest.mark.parametrize("answer", [hang, endless])
async def test_cancelling_the_reader_closes_the_connection_at_once(answer: Answer) -> None:
    """Before the headers, and in mid-answer."""

    async def seconds() -> float:
        before = len(server.seen)
        reading = asyncio.ensure_future(ask(model))
        await eventually(lambda: len(server.seen) > before)
        reading.cancel()
        cancelled = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await eventually(lambda: server.open_now == 0, every=0.002)
        return time.monotonic() - cancelled

    async with model_of(answer) as (model, server):
        assert await fast(seconds)


async def test_an_error_of_the_caller_closes_the_connection_and_stays_itself() -> None:
    async with model_of(endless) as (model, server):
        with pytest.raises(KeyError):
            async with model.stream(request(), deadline=time.monotonic() + 10) as events:
                await anext(events)
                raise KeyError("mine")
        await eventually(lambda: server.seen[0].closed_at)


async def test_the_context_may_be_left_while_another_task_reads() -> None:
    async with model_of(hang_after_headers) as (model, server):
        async with model.stream(request(), deadline=time.monotonic() + 10) as events:
            reading = asyncio.ensure_future(anext(events))
            await eventually(lambda: events.ag_running)  # type: ignore[attr-defined]
        with pytest.raises(errors.ModelCutOff):
            await reading
        await eventually(lambda: server.seen[0].closed_at)


async def hang_after_headers(line: Line, seen: Seen) -> None:
    await line.send(HEAD)
    await hang(line, seen)


# -- connections -----------------------------------------------------------------------------


async def test_a_connection_is_used_again_after_an_orderly_end() -> None:
    async with model_of(whole_answer) as (model, server):
        for _ in range(3):
            await ask(model)
    assert [seen.connection for seen in server.seen] == [1, 1, 1]


async def test_a_connection_is_used_again_though_the_caller_stopped_at_finished() -> None:
    async def answer(line: Line, seen: Seen) -> None:
        await line.send(HEAD + chunked(frame("a") + last() + DONE))
        await asyncio.sleep(0.02)
        await line.send(END)

    async with model_of(answer) as (model, server):
        for _ in range(2):
            async with model.stream(request(), deadline=time.monotonic() + 10) as events:
                async for one in events:
                    if isinstance(one, Finished):
                        break
    assert [seen.connection for seen in server.seen] == [1, 1]


async def test_an_aborted_connection_is_not_used_again() -> None:
    async def answer(line: Line, seen: Seen) -> None:
        await (endless if len(server.seen) == 1 else whole_answer)(line, seen)

    async with model_of(answer) as (model, server):
        async with model.stream(request(), deadline=time.monotonic() + 10) as events:
            await anext(events)
        assert text_of(await ask(model)) == "Hello"
    assert [seen.connection for seen in server.seen] == [1, 2]


async def test_an_end_after_done_that_does_not_come_is_not_waited_for() -> None:
    async def answer(line: Line, seen: Seen) -> None:
        await line.send(HEAD + chunked(frame("Hello") + last() + DONE))
        await hang(line, seen)

    async with model_of(answer) as (model, server):
        started = time.monotonic()
        assert text_of(await ask(model)) == "Hello"
        assert time.monotonic() - started < 5
        await eventually(lambda: server.seen[0].closed_at)


async def test_150_answers_run_at_once_through_one_client() -> None:
    all_here = asyncio.Event()

    async def answer(line: Line, seen: Seen) -> None:
        if len(server.seen) == 150:
            all_here.set()
        await all_here.wait()
        await whole_answer(line, seen)

    async with model_of(answer) as (model, server):
        answers = await asyncio.gather(*(ask(model) for _ in range(150)))
    assert {text_of(one) for one in answers} == {"Hello"}
    assert server.most_open == 150


def test_the_pool_holds_more_than_any_tier() -> None:
    for tier in (1, 50, 100, 300, 500, 5000, 100_000):
        assert transport.connections(tier) > tier


# -- TLS -------------------------------------------------------------------------------------

# For localhost, signed by itself, good until 2126; its key is no secret.
CERTIFICATE = Path(__file__).with_name("self_signed.pem")


async def test_a_server_that_nobody_vouches_for_gets_neither_key_nor_words() -> None:
    async with raw_server(whole_answer, tls=CERTIFICATE) as server:
        async with GlmModel.open(server.url, KEY, "m", 1) as model:
            with pytest.raises(errors.ModelUnreachable, match=r"(?i)certificate"):
                await ask(model)
        assert server.seen == []


async def test_leaving_closes_a_tls_connection_at_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    async with (
        raw_server(endless, tls=CERTIFICATE) as server,
        GlmModel.open(server.url, KEY, "m", 1) as model,
    ):
        assert await fast(lambda: seconds_to_close(model, server))


# -- the key ---------------------------------------------------------------------------------


async def test_the_key_is_in_no_error_no_log_and_no_repr(caplog: pytest.LogCaptureFixture) -> None:
    async def quote(line: Line, seen: Seen) -> None:
        said = {"error": {"code": "1000", "message": f"bad {seen.headers['authorization']}"}}
        raw = json.dumps(said).encode()
        if len(server.seen) == 2:
            raw = b"data: " + raw + b"\n\n"
            await line.send(HEAD + chunked(raw) + END)
        else:
            await line.send(plain(401, raw))

    caplog.set_level(logging.DEBUG)
    written: list[str] = []
    async with model_of(quote) as (model, server):
        for _ in range(2):
            with pytest.raises(errors.ModelAccountBlocked) as caught:
                await ask(model)
            written += traceback.format_exception(caught.value)
            assert "[key]" in str(caught.value)
        written.append(repr(model))
    async with GlmModel.open("http://127.0.0.1:9", KEY, "m", 1) as model:
        with pytest.raises(errors.ModelUnreachable) as missed:
            await ask(model)
        written += traceback.format_exception(missed.value)
    everything = "".join(written) + caplog.text
    assert "SecretSecret42" not in everything
    assert "0123456789abcdef" not in everything


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schlüssel"])
async def test_a_key_that_cannot_stand_in_a_header_is_a_setting_error(key: str) -> None:
    with pytest.raises(errors.SettingError, match="PARLEY_MODEL_KEY") as caught:
        async with GlmModel.open("http://127.0.0.1:9", key, "m", 1):
            pass
    assert not key or key not in str(caught.value)
