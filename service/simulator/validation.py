"""The parameters of a chat request, checked as the documents describe them.

The field table is closed: a field that is not in it is ignored or refused (1210), as the options
say, since nobody has documented what the real endpoint does. Where documents and captures
disagree, the stricter reading is taken, so that a client that passes here passes there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from service.simulator import pieces
from service.simulator.errors import refusal
from service.simulator.messages import check_messages
from service.simulator.options import SimulatorOptions
from service.simulator.tools import check_tools

CONTEXT_TOKENS = 128 * 1024  # model tokens of prompt and answer together
MAX_OUTPUT_TOKENS = 16 * 1024  # the model's own cap; the schema allows more and is cut to this
SCHEMA_MAX_TOKENS = 131_072
DEFAULT_MAX_TOKENS = 4096  # undocumented for this model
MESSAGE_TOKENS = 4  # what role and separators of one message add

OTHER_METHOD_MODELS = frozenset({"embedding-2", "embedding-3", "cogview-4", "moderation"})


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A checked request. `prompt_tokens` has one number for each message, then the tools'."""

    body: Mapping[str, Any]
    model: str
    messages: tuple[Mapping[str, Any], ...]
    stream: bool
    tools: tuple[Mapping[str, Any], ...]
    max_tokens: int
    room: int  # model tokens that the context leaves for the answer
    stop: str | None
    json_object: bool
    request_id: str | None
    prompt_tokens: tuple[int, ...]


def _invalid(field: str) -> NoReturn:
    raise refusal("1214", field=field)


def _boolean(field: str, value: object) -> None:
    if not isinstance(value, bool):
        _invalid(field)


def _number(low: float, high: float) -> Callable[[str, object], None]:
    def check(field: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            _invalid(field)
        if not low <= value <= high or round(value, 2) != value:  # two decimals are documented
            _invalid(field)

    return check


def _max_tokens(field: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        _invalid(field)
    if not 1 <= value <= SCHEMA_MAX_TOKENS:
        _invalid(field)


def _text(low: int, high: int) -> Callable[[str, object], None]:
    def check(field: str, value: object) -> None:
        if not isinstance(value, str) or not low <= len(value) <= high:
            _invalid(field)

    return check


def _stop(field: str, value: object) -> None:
    if not isinstance(value, list) or len(value) > 4:
        _invalid(field)
    if not all(isinstance(item, str) and item for item in value):
        _invalid(field)


def _tool_choice(field: str, value: object) -> None:
    if value != "auto":
        _invalid(field)


def _response_format(field: str, value: object) -> None:
    if not isinstance(value, dict) or value.get("type") not in ("text", "json_object"):
        _invalid(field)


def _sensitive_word_check(field: str, value: object) -> None:
    if not isinstance(value, dict) or value.get("type") != "ALL":
        _invalid(field)
    if value.get("status") == "DISABLE":  # needs a permission that nobody has by default
        raise refusal("1220", api=field)
    if value.get("status") != "ENABLE":
        _invalid(field)


def _object(field: str, value: object) -> None:
    if not isinstance(value, dict):
        _invalid(field)


def _anything(field: str, value: object) -> None:
    """Signature-only fields of the SDKs: no range is documented."""


FIELDS: dict[str, Callable[[str, object], None]] = {
    "model": _anything,  # checked before the others
    "messages": _anything,
    "stream": _boolean,
    "do_sample": _boolean,
    "temperature": _number(0.0, 1.0),
    "top_p": _number(0.01, 1.0),
    "max_tokens": _max_tokens,
    "stop": _stop,
    "tools": _anything,
    "tool_choice": _tool_choice,
    "response_format": _response_format,
    "request_id": _text(6, 64),
    "user_id": _text(6, 128),
    "thinking": _object,
    "reasoning_effort": _anything,
    "tool_stream": _boolean,
    "sensitive_word_check": _sensitive_word_check,
    "seed": _anything,
    "meta": _anything,
    "extra": _anything,
    "watermark_enabled": _anything,
}


def check(body: object, options: SimulatorOptions) -> ChatRequest:
    """The checked request, or the refusal with the code the real endpoint gives."""
    if not isinstance(body, dict):
        raise refusal("1210")
    if options.unknown_fields == "refuse" and any(name not in FIELDS for name in body):
        raise refusal("1210")
    model = _check_model(body, options)
    messages = check_messages(body.get("messages"))
    for name, check_field in FIELDS.items():
        if body.get(name) is not None:
            check_field(name, body[name])
    tools = check_tools(body.get("tools"))
    prompt_tokens = _count_prompt(messages, tools)
    if sum(prompt_tokens) > CONTEXT_TOKENS:
        raise refusal("1261")
    room = CONTEXT_TOKENS - sum(prompt_tokens)
    asked = body.get("max_tokens") or DEFAULT_MAX_TOKENS
    stops = body.get("stop") or []
    response_format = body.get("response_format") or {}
    return ChatRequest(
        body=body,
        model=model,
        messages=messages,
        stream=bool(body.get("stream")),
        tools=tools,
        max_tokens=min(asked, MAX_OUTPUT_TOKENS),
        room=room,
        stop=stops[0] if stops else None,  # a list is taken, one entry is supported
        json_object=response_format.get("type") == "json_object",
        request_id=body.get("request_id"),
        prompt_tokens=prompt_tokens,
    )


def _check_model(body: Mapping[str, Any], options: SimulatorOptions) -> str:
    model = body.get("model")
    if model is None or model == "":
        raise refusal("1213", field="model")
    if not isinstance(model, str):
        _invalid("model")
    if model in OTHER_METHOD_MODELS:
        raise refusal("1212", method="SSE" if body.get("stream") is True else "SYNC")
    if model not in options.models:
        raise refusal("1211")
    return model


def _count_prompt(
    messages: tuple[Mapping[str, Any], ...], tools: tuple[Mapping[str, Any], ...]
) -> tuple[int, ...]:
    counts = [MESSAGE_TOKENS + _message_tokens(message) for message in messages]
    if tools:
        counts.append(sum(pieces.count(orjson.dumps(tool).decode()) for tool in tools))
    return tuple(counts)


def _message_tokens(message: Mapping[str, Any]) -> int:
    tokens = pieces.count(message.get("content") or "")
    for call in message.get("tool_calls") or ():
        function = call["function"]
        tokens += pieces.count(function["name"]) + pieces.count(function["arguments"])
    return tokens
