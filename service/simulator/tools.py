"""The `tools` of a request: functions, knowledge retrieval, web search, MCP servers."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

from service.simulator.errors import refusal

MAX_TOOLS = 128
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
SEARCH_ENGINES = frozenset(
    {
        "search_std",
        "search_pro",
        "search_pro_sogou",
        "search_pro_quark",
        "search_pro_bing",
        "search_pro_jina",
        "search-prime",
    }
)
_RECENCY = frozenset({"oneDay", "oneWeek", "oneMonth", "oneYear", "noLimit"})
_BOOLEANS = (True, False, "True", "False", "true", "false")  # clients send them as strings, too


def _invalid(field: str) -> NoReturn:
    raise refusal("1214", field=field)


def check_tools(tools: object) -> tuple[Mapping[str, Any], ...]:
    """The tools, or refusal 1213, 1214 or 1215 with the field's path."""
    if tools is None:
        return ()
    if not isinstance(tools, list) or len(tools) > MAX_TOOLS:
        _invalid("tools")
    kinds = set()
    for tool in tools:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if not isinstance(kind, str) or kind not in _CHECKS:
            _invalid("tools.type")
        content = tool.get(kind)
        if content is None:
            raise refusal("1213", field=f"tools.{kind}")
        if not isinstance(content, dict):
            _invalid(f"tools.{kind}")
        _CHECKS[kind](content)
        kinds.add(kind)
    if {"retrieval", "web_search"} <= kinds:  # both would ground the same answer
        raise refusal("1215", field="retrieval", other="web_search")
    return tuple(tools)


def _is_one_of(value: object, allowed: Collection[str]) -> bool:
    return isinstance(value, str) and value in allowed


def _required(content: Mapping[str, Any], kind: str, *names: str) -> None:
    for name in names:
        if content.get(name) in (None, ""):
            raise refusal("1213", field=f"{kind}.{name}")


def _check_function(function: Mapping[str, Any]) -> None:
    _required(function, "function", "name", "description", "parameters")
    name = function["name"]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        _invalid("function.name")
    if not isinstance(function["description"], str):
        _invalid("function.description")
    parameters = function["parameters"]
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        _invalid("function.parameters")


def _check_retrieval(retrieval: Mapping[str, Any]) -> None:
    _required(retrieval, "retrieval", "knowledge_id")
    template = retrieval.get("prompt_template")
    if template is not None and not (
        isinstance(template, str) and "{{knowledge}}" in template and "{{question}}" in template
    ):
        _invalid("retrieval.prompt_template")


def _check_web_search(search: Mapping[str, Any]) -> None:
    engine = search.get("search_engine")
    if engine is not None and not _is_one_of(engine, SEARCH_ENGINES):
        _invalid("web_search.search_engine")
    results = search.get("count", 10)
    if isinstance(results, bool) or not isinstance(results, int) or not 1 <= results <= 50:
        _invalid("web_search.count")
    for name in ("enable", "search_result", "require_search"):
        if search.get(name) is not None and search[name] not in _BOOLEANS:
            _invalid(f"web_search.{name}")
    for name, allowed in (
        ("search_recency_filter", _RECENCY),
        ("content_size", {"medium", "high"}),
        ("result_sequence", {"before", "after"}),
    ):
        if search.get(name) is not None and not _is_one_of(search[name], allowed):
            _invalid(f"web_search.{name}")


def _check_mcp(server: Mapping[str, Any]) -> None:
    _required(server, "mcp", "server_label")
    if server.get("transport_type") not in (None, "sse", "streamable-http"):
        _invalid("mcp.transport_type")


_CHECKS: dict[str, Callable[[Mapping[str, Any]], None]] = {
    "function": _check_function,
    "retrieval": _check_retrieval,
    "web_search": _check_web_search,
    "mcp": _check_mcp,
}


def truth(value: object) -> bool:
    """A switch of a tool: true, or the strings that some clients send for it."""
    return value in (True, "True", "true")


def web_search_of(tools: tuple[Mapping[str, Any], ...]) -> Mapping[str, Any] | None:
    """The enabled web search among `tools`, if any."""
    for tool in tools:
        if tool["type"] == "web_search" and truth(tool["web_search"].get("enable", True)):
            search: Mapping[str, Any] = tool["web_search"]
            return search
    return None
