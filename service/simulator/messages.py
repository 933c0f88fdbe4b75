"""The `messages` of a request: which roles, which fields, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from service.simulator.errors import refusal

ROLES = ("system", "user", "assistant", "tool")


def _invalid() -> NoReturn:
    raise refusal("1214", field="messages")


def check_messages(messages: object) -> tuple[Mapping[str, Any], ...]:
    """The messages, or refusal 1213 (nothing there) or 1214 (not what it must be)."""
    if messages is None:
        raise refusal("1213", field="messages")
    if not isinstance(messages, list) or not messages:
        _invalid()
    open_calls: set[str] = set()
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            _invalid()
        role = message["role"]
        if role == "tool":
            _check_result(message, open_calls)
            continue
        if role == "assistant":
            open_calls = _check_assistant(message)
            continue
        _check_text(message)
    if not any(message["role"] in ("user", "tool") for message in messages):
        _invalid()  # only system and assistant messages
    return tuple(messages)


def _check_text(message: Mapping[str, Any]) -> None:
    content = message.get("content")
    if content is None or content == "":
        raise refusal("1213", field="prompt")  # the real endpoint's own name for it
    if not isinstance(content, str):
        _invalid()


def _check_assistant(message: Mapping[str, Any]) -> set[str]:
    """The ids of the tool calls that its `tool` messages may answer."""
    calls = message.get("tool_calls")
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        _invalid()
    if not calls:
        _check_text(message)
        return set()
    if not isinstance(calls, list):
        raise refusal("1214", field="tool_calls")
    return {_check_call(call) for call in calls}


def _check_call(call: object) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    if (
        not isinstance(call, dict)
        or not isinstance(function, dict)
        or not isinstance(call.get("id"), str)
        or call.get("type") != "function"
        or not isinstance(function.get("name"), str)
        or not isinstance(function.get("arguments"), str)
    ):
        raise refusal("1214", field="tool_calls")
    return str(call["id"])


def _check_result(message: Mapping[str, Any], open_calls: set[str]) -> None:
    call_id = message.get("tool_call_id")
    if call_id is None:
        raise refusal("1213", field="tool_call_id")
    if not isinstance(call_id, str) or call_id not in open_calls:
        raise refusal("1214", field="tool_call_id")
    if message.get("content") is None:
        raise refusal("1213", field="content")
    if not isinstance(message["content"], str):
        _invalid()
