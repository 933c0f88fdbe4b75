"""From an answer and the faults of its request to what is played: steps, an ending, an outcome.

A step is the bytes of one model token (with whatever a fault puts before it), or a pause. The fast
case, no fault, builds a plain list of encoded chunks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from service.simulator import pieces
from service.simulator.answers import Reply
from service.simulator.faults import Fault
from service.simulator.frames import COMMENT, DONE, Frames
from service.simulator.ids import AnswerId
from service.simulator.usage import usage
from service.simulator.validation import ChatRequest


class Ending(Enum):
    """How the body ends."""

    COMPLETE = "complete"  # a well-formed end of the HTTP body
    CUT = "cut"  # the connection closes in mid-body


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence before the next step, in seconds; below 0: for ever."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says, cut to what the request allows, and what it costs."""

    pieces: Sequence[str]
    tool_calls: Sequence[Mapping[str, Any]]
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    web_search: list[dict[str, Any]] | None = None

    def usage(self, completion_tokens: int | None = None) -> dict[str, Any]:
        """The `usage` object, of the whole answer or of its first model tokens."""
        completion = self.completion_tokens if completion_tokens is None else completion_tokens
        return usage(self.prompt_tokens, completion, self.cached_tokens)


@dataclass(slots=True)
class Plan:
    """What is played. `closing` is due with the last step."""

    steps: list[bytes | Pause]
    closing: list[bytes]
    outcome: str
    model_tokens: int
    ending: Ending = Ending.COMPLETE
    write_bytes: int = 0  # size of each write; 0: a step at a time
    crlf: bool = False
    pauses: bool = field(default=False)


def answer(reply: Reply, request: ChatRequest, identity: AnswerId, cached_tokens: int) -> Answer:
    """The reply, cut at the request's `stop` and `max_tokens`."""
    text, reason = reply.text, reply.finish_reason or "stop"
    if request.stop and request.stop in text:
        text, reason = text[: text.index(request.stop)], "stop"
    cut = pieces.split(text)
    calls = [
        {
            "id": identity.tool_call(index),
            "index": index,
            "type": "function",
            "function": dict(call),
        }
        for index, call in enumerate(reply.tool_calls)
    ]
    prompt_tokens = sum(request.prompt_tokens)
    most = min(request.max_tokens, request.room)
    if len(cut) > most:
        cut, calls = cut[:most], []
        full = request.room < request.max_tokens
        reason = "model_context_window_exceeded" if full else "length"
    elif calls:
        reason = "tool_calls"
    call_tokens = sum(
        pieces.count(call["name"]) + pieces.count(call["arguments"])
        for call in (reply.tool_calls if calls else ())
    )
    return Answer(
        cut, calls, reason, prompt_tokens, len(cut) + call_tokens, cached_tokens, reply.web_search
    )


def stream(spoken: Answer, frames: Frames, faults: list[Fault], *, web_search: bool) -> Plan:
    """The plan of a streamed answer."""
    steps: list[bytes | Pause] = [frames.text(piece) for piece in spoken.pieces]
    closing = []
    if spoken.tool_calls:
        closing.append(frames.tool_calls(spoken.tool_calls))
    search = spoken.web_search if web_search else None
    closing.append(frames.finish(spoken.finish_reason, spoken.usage(), search))
    closing.append(DONE)
    plan = Plan(steps, closing, spoken.finish_reason, spoken.completion_tokens)
    # Endings first: the others place themselves within what is left.
    for fault in sorted(faults, key=lambda fault: fault.kind not in _ENDINGS):
        effect = _ENDINGS.get(fault.kind) or _EFFECTS.get(fault.kind)
        if effect is not None:
            effect(plan, fault, spoken, frames)
    return plan


def _shorten(plan: Plan, fault: Fault, outcome: str) -> int:
    kept = min(fault.whole("after"), len(plan.steps))
    del plan.steps[kept:]
    plan.closing.clear()
    plan.outcome = outcome
    plan.model_tokens = kept
    return kept


def _finish_early(plan: Plan, fault: Fault, spoken: Answer, frames: Frames) -> None:
    kept = _shorten(plan, fault, fault.kind)
    cost = None if fault.kind == "sensitive" else spoken.usage(kept)
    plan.closing += [frames.finish(fault.kind, cost), DONE]


def _end_early(plan: Plan, fault: Fault, spoken: Answer, frames: Frames) -> None:
    _shorten(plan, fault, fault.kind)
    if fault.kind == "cut":
        plan.ending = Ending.CUT


def _error_inband(plan: Plan, fault: Fault, spoken: Answer, frames: Frames) -> None:
    _shorten(plan, fault, fault.kind)
    code = str(fault.whole("code"))
    plan.closing.append(frames.error(code, event=bool(fault.number("event"))))


def _empty(plan: Plan, fault: Fault, spoken: Answer, frames: Frames) -> None:
    plan.steps.clear()
    plan.model_tokens = 0
    plan.closing = [frames.finish("stop", spoken.usage(0)), DONE]


_ENDINGS = {
    "sensitive": _finish_early,
    "network_error": _finish_early,
    "eof": _end_early,
    "cut": _end_early,
    "error_inband": _error_inband,
    "empty": _empty,
}


def _place(plan: Plan, fault: Fault) -> int:
    return min(fault.whole("after"), len(plan.steps))


def _stall(plan: Plan, fault: Fault, spoken: Answer, frames: Frames) -> None:
    plan.steps.insert(_place(plan, fault), Pause(fault.number("for")))
    plan.pauses = True


def _truncated(plan: Plan, fault: Fault, spoken: Answer, frames: Frames) -> None:
    place = _place(plan, fault)
    plan.steps.insert(place, frames.truncated("…"))
    if fault.number("end"):
        del plan.steps[place + 1 :]
        plan.closing.clear()
    plan.outcome = fault.kind


def _half_emoji(plan: Plan, fault: Fault, spoken: Answer, frames: Frames) -> None:
    place = _place(plan, fault)
    plan.steps[place:place] = frames.half_emoji(lone=bool(fault.number("lone")))


def _between(plan: Plan, fault: Fault, spoken: Answer, frames: Frames) -> None:
    extra = COMMENT if fault.kind == "comments" else frames.empty_choices()
    every = fault.whole("every")
    texts = [index for index, step in enumerate(plan.steps) if isinstance(step, bytes)]
    for index in texts[::every]:
        step = plan.steps[index]
        if isinstance(step, bytes):
            plan.steps[index] = extra + step
    plan.closing[:0] = [extra] if plan.closing else []


def _split(plan: Plan, fault: Fault, spoken: Answer, frames: Frames) -> None:
    plan.write_bytes = fault.whole("bytes")
    plan.crlf = bool(fault.number("crlf"))


_EFFECTS = {
    "stall": _stall,
    "truncated": _truncated,
    "half_emoji": _half_emoji,
    "comments": _between,
    "empty_choices": _between,
    "split": _split,
}


def whole_answer(spoken: Answer, faults: list[Fault]) -> Answer:
    """What an answer that is not streamed says under `faults`."""
    for fault in faults:
        if fault.kind in ("sensitive", "network_error"):
            kept = min(fault.whole("after"), len(spoken.pieces))
            spoken = replace(
                spoken,
                pieces=spoken.pieces[:kept],
                tool_calls=(),
                completion_tokens=kept,
                finish_reason=fault.kind,
            )
        elif fault.kind == "empty":
            spoken = replace(spoken, pieces=(), tool_calls=(), completion_tokens=0)
    return spoken
