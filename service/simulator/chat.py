"""`POST …/chat/completions`: read, admit, answer.

A plain ASGI application: it needs the raw `receive` to see a client leave, and one `send` per model
token to be quick.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from dataclasses import replace
from typing import Any

import orjson
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from service.simulator import plan as plans
from service.simulator.admission import MAX_BODY_BYTES, Admission, admit
from service.simulator.answers import Reply, begun, compose
from service.simulator.answers.continuation import chosen
from service.simulator.answers.detection import detect
from service.simulator.connection import remove_buffers
from service.simulator.errors import Refusal, error_body, html_page
from service.simulator.faults import Fault
from service.simulator.frames import Frames
from service.simulator.ids import AnswerId
from service.simulator.pace import Pace
from service.simulator.playback import Playback, silence
from service.simulator.shaping import shaped
from service.simulator.state import Simulation
from service.simulator.stats import Record, visible_headers
from service.simulator.work import Work, working

LARGE_PROMPT = 8192  # model tokens; reading more facts would hold up the other streams
_JSON = "application/json; charset=UTF-8"


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(receive: Receive) -> bytes:
    """The request's body; a refusal 413 above the limit, `ClientGone` if it never ends."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise html_page(413, "Request Entity Too Large")
        if not message.get("more_body"):
            return b"".join(parts)


async def respond(send: Send, status: int, body: bytes, content_type: str = _JSON) -> None:
    """A whole response."""
    await _begin(send, status, len(body), content_type)
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _begin(send: Send, status: int, length: int, content_type: str = _JSON) -> None:
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(length).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _send_ending(send: Send, work: Work, body: bytes, outcome: str, *, cut: bool) -> None:
    """A whole answer, of which `cut` leaves one half out; the work ends before its last byte."""
    sent = body[: len(body) // 2] if cut else body
    await _begin(send, 200, len(body))
    await send({"type": "http.response.body", "body": sent[:-1], "more_body": True})
    await work.written(send)
    work.end(outcome)
    await send({"type": "http.response.body", "body": sent[-1:], "more_body": cut})


class ChatEndpoint:
    """The chat API of one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        simulation = self._simulation
        record: Record | None = None
        try:
            body = await read_body(receive)
            record = simulation.received(scope["path"], visible_headers(scope["headers"]), body)
            if simulation.options.write_stall:
                remove_buffers(scope)
            admission = admit(simulation, record, Headers(scope=scope))
        except ClientGone:
            return
        except Refusal as refused:
            simulation.stats.outcome(refused.outcome)
            if record is not None:
                record.status, record.outcome = refused.status, refused.outcome
            await respond(send, refused.status, refused.body, refused.content_type)
            return
        await _Exchange(simulation, admission, record, send).run(receive)


class _Exchange:
    """An accepted request until its answer has been given."""

    def __init__(
        self, simulation: Simulation, admission: Admission, record: Record, send: Send
    ) -> None:
        self._simulation = simulation
        self._admission = admission
        self._record = record
        self._send = send
        record.status = 200

    async def run(self, receive: Receive) -> None:
        simulation, admission = self._simulation, self._admission
        work = simulation.works.begin(admission.line)
        mine = (admission.account, admission.request.request_id or f"#{self._record.number}")
        simulation.in_flight.add(mine)
        try:
            async with working(work, receive):
                await self._answer(work)
        except Exception:
            traceback.print_exc()  # the server is silent on purpose; a fault of ours must not be
            raise
        finally:
            simulation.in_flight.discard(mine)
            self._record.outcome = work.outcome

    async def _answer(self, work: Work) -> None:
        simulation, admission, number = self._simulation, self._admission, self._record.number
        request, faults = admission.request, admission.faults
        for fault in faults:
            if fault.kind == "hang":
                await silence(fault.number("for"))
        start = asyncio.get_running_loop().time()
        if sum(request.prompt_tokens) > LARGE_PROMPT:
            reply = await asyncio.to_thread(self._reply)
        else:
            reply = self._reply()
        cached = simulation.cache.cached_tokens(admission.account, request)
        identity = simulation.identity(number)
        spoken = plans.answer(reply, request, identity, cached)
        pace = _own_pace(simulation.pace(), faults)
        if not request.stream:
            await self._whole(work, plans.whole_answer(spoken, faults), identity, (start, pace))
            return
        frames = Frames(identity, request.model, simulation.options)
        plan = plans.stream(spoken, frames, faults, web_search=simulation.options.web_search_stream)
        self._count(plan.model_tokens)
        due = max(1, len(plan.steps), plan.model_tokens)
        await Playback(
            work.through(self._send), work, plan, pace.deadlines(start, due, number)
        ).run()

    def _reply(self) -> Reply:
        """What is said now: of an answer that is to be continued, what comes next."""
        options, digest = self._simulation.options, self._record.prompt_hash
        return shaped(
            self._whole_reply(),
            self._admission.faults,
            chosen(options.continuation, f"{options.seed}/{digest}"),
        )

    def _whole_reply(self) -> Reply:
        simulation, admission = self._simulation, self._admission
        for script in simulation.scripts:
            if script.fits(admission.newest, self._record.prompt_hash):
                script.times -= script.times > 0
                return Reply(
                    script.text,
                    tool_calls=script.tool_calls,
                    finish_reason=script.finish_reason,
                    continued=begun(admission.request.messages)[1],
                    language=detect(script.text),
                )
        return compose(admission.request, simulation.options.seed)

    def _count(self, model_tokens: int) -> None:
        self._record.model_tokens = model_tokens
        self._simulation.stats.model_tokens += model_tokens
        self._simulation.tier.second(int(time.time())).model_tokens += model_tokens

    async def _whole(
        self,
        work: Work,
        spoken: plans.Answer,
        identity: AnswerId,
        timing: tuple[float, Pace],
    ) -> None:
        """An answer in one body, when its last model token is due."""
        start, pace = timing
        faults = {fault.kind: fault for fault in self._admission.faults}
        self._count(spoken.completion_tokens)
        deadlines = pace.deadlines(start, max(1, spoken.completion_tokens), self._record.number)
        if "stall" in faults:
            await silence(faults["stall"].number("for"))
        wait = deadlines[-1] - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)
        body = orjson.dumps(self._body(spoken, identity, empty="empty_choices" in faults))
        if "error_inband" in faults:
            body = error_body(str(faults["error_inband"].whole("code")))
        if "truncated" in faults:
            body = body[: len(body) // 2]
        cut = "eof" in faults or "cut" in faults
        await _send_ending(work.through(self._send), work, body, spoken.finish_reason, cut=cut)

    def _body(self, spoken: plans.Answer, identity: AnswerId, *, empty: bool) -> dict[str, Any]:
        options, request = self._simulation.options, self._admission.request
        message: dict[str, Any] = {"role": "assistant", "content": "".join(spoken.pieces)}
        if spoken.tool_calls:
            message["tool_calls"] = list(spoken.tool_calls)
        choice = {"index": 0, "finish_reason": spoken.finish_reason, "message": message}
        body: dict[str, Any] = {
            "choices": [] if empty else [choice],
            "created": identity.created,
            "id": identity.id,
            "model": request.model,
            "request_id": request.request_id or identity.id,
            "usage": None if spoken.finish_reason == "sensitive" else spoken.usage(),
        }
        if options.object_field:
            body["object"] = "chat.completion"
        if spoken.web_search is not None:
            body["web_search"] = spoken.web_search
        if spoken.finish_reason == "sensitive":
            body["content_filter"] = [{"role": "user", "level": 1}]
        return body


def _own_pace(pace: Pace, faults: list[Fault]) -> Pace:
    for fault in faults:
        if fault.kind == "pace":
            first, rate = fault.number("first_token_ms"), fault.number("tokens_per_second")
            pace = replace(
                pace,
                first_token_ms=first if first >= 0 else pace.first_token_ms,
                tokens_per_second=rate if rate >= 0 else pace.tokens_per_second,
            )
    return pace
