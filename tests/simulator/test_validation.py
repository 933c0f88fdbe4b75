"""Every row of the request's table, and the order of the checks."""

from typing import Any

import pytest

from tests.simulator.api import MODEL, Api, code_of, question

FUNCTION = {
    "type": "function",
    "function": {
        "name": "find_order",
        "description": "Finds an order",
        "parameters": {"type": "object", "properties": {}},
    },
}


def function(**changes: Any) -> dict[str, Any]:
    changed = {**FUNCTION["function"], **changes}
    return {
        "type": "function",
        "function": {name: value for name, value in changed.items() if value is not None},
    }


def search(**fields: Any) -> dict[str, Any]:
    return {"type": "web_search", "web_search": fields}


def said(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    return list(messages)


USER = {"role": "user", "content": "hello"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RETRIEVAL = {"type": "retrieval", "retrieval": {"knowledge_id": "1"}}

WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    # what, changed fields, code, part of the message
    ("no model", {"model": None}, "1213", "model"),
    ("empty model", {"model": ""}, "1213", "model"),
    ("model of another type", {"model": 5}, "1214", "model"),
    ("unknown model", {"model": "glm-9"}, "1211", "模型不存在"),
    ("model of another method", {"model": "embedding-3"}, "1212", "SYNC"),
    ("no messages", {"messages": None}, "1213", "messages"),
    ("empty messages", {"messages": []}, "1214", "messages"),
    ("messages of another type", {"messages": "hello"}, "1214", "messages"),
    ("unknown role", {"messages": said({"role": "bot", "content": "x"})}, "1214", "messages"),
    ("system only", {"messages": said({"role": "system", "content": "x"})}, "1214", "messages"),
    ("empty text", {"messages": said({"role": "user", "content": ""})}, "1213", "prompt"),
    ("no text", {"messages": said({"role": "user"})}, "1213", "prompt"),
    ("text in parts", {"messages": said({"role": "user", "content": []})}, "1214", "messages"),
    (
        "assistant without anything",
        {"messages": said(USER, {"role": "assistant"})},
        "1213",
        "prompt",
    ),
    (
        "call without function",
        {"messages": said(USER, {"role": "assistant", "tool_calls": [{"id": "1"}]})},
        "1214",
        "tool_calls",
    ),
    (
        "result without call id",
        {"messages": said(USER, CALLING, {"role": "tool", "content": "x"})},
        "1213",
        "tool_call_id",
    ),
    (
        "result of no call",
        {"messages": said(USER, {"role": "tool", "tool_call_id": "call_1", "content": "x"})},
        "1214",
        "tool_call_id",
    ),
    (
        "result without text",
        {"messages": said(USER, CALLING, {"role": "tool", "tool_call_id": "call_1"})},
        "1213",
        "content",
    ),
    ("stream", {"stream": "yes"}, "1214", "stream"),
    ("do_sample", {"do_sample": 1}, "1214", "do_sample"),
    ("temperature too high", {"temperature": 1.01}, "1214", "temperature"),
    ("temperature below 0", {"temperature": -0.1}, "1214", "temperature"),
    ("temperature with 3 decimals", {"temperature": 0.123}, "1214", "temperature"),
    ("temperature as text", {"temperature": "0.5"}, "1214", "temperature"),
    ("top_p 0", {"top_p": 0}, "1214", "top_p"),
    ("top_p too high", {"top_p": 1.5}, "1214", "top_p"),
    ("max_tokens 0", {"max_tokens": 0}, "1214", "max_tokens"),
    ("max_tokens too high", {"max_tokens": 131_073}, "1214", "max_tokens"),
    ("max_tokens not whole", {"max_tokens": 1.5}, "1214", "max_tokens"),
    ("stop as text", {"stop": "x"}, "1214", "stop"),
    ("five stops", {"stop": list("abcde")}, "1214", "stop"),
    ("tool_choice", {"tool_choice": "none"}, "1214", "tool_choice"),
    ("response_format", {"response_format": {"type": "json_schema"}}, "1214", "response_format"),
    ("short request_id", {"request_id": "12345"}, "1214", "request_id"),
    ("long request_id", {"request_id": "x" * 65}, "1214", "request_id"),
    ("short user_id", {"user_id": "12345"}, "1214", "user_id"),
    ("long user_id", {"user_id": "x" * 129}, "1214", "user_id"),
    ("thinking", {"thinking": True}, "1214", "thinking"),
    ("word check", {"sensitive_word_check": {"type": "SOME"}}, "1214", "sensitive_word_check"),
    (
        "word check off",
        {"sensitive_word_check": {"type": "ALL", "status": "DISABLE"}},
        "1220",
        "sensitive_word_check",
    ),
    ("tools of another type", {"tools": {}}, "1214", "tools"),
    ("129 tools", {"tools": [FUNCTION] * 129}, "1214", "tools"),
    ("unknown kind of tool", {"tools": [{"type": "x"}]}, "1214", "tools.type"),
    ("tool without content", {"tools": [{"type": "function"}]}, "1213", "tools.function"),
    ("function's name", {"tools": [function(name="find order")]}, "1214", "function.name"),
    ("no description", {"tools": [function(description=None)]}, "1213", "function.description"),
    ("no parameters", {"tools": [function(parameters=None)]}, "1213", "function.parameters"),
    ("parameters", {"tools": [function(parameters=[])]}, "1214", "function.parameters"),
    ("search engine", {"tools": [search(search_engine="x")]}, "1214", "web_search.search_engine"),
    ("search count", {"tools": [search(count=51)]}, "1214", "web_search.count"),
    ("search recency", {"tools": [search(search_recency_filter="x")]}, "1214", "recency_filter"),
    ("search switch", {"tools": [search(search_result=3)]}, "1214", "web_search.search_result"),
    ("no knowledge", {"tools": [{"type": "retrieval", "retrieval": {}}]}, "1213", "knowledge_id"),
    (
        "template",
        {
            "tools": [
                {"type": "retrieval", "retrieval": {"knowledge_id": "1", "prompt_template": ""}}
            ]
        },
        "1214",
        "prompt_template",
    ),
    ("no server", {"tools": [{"type": "mcp", "mcp": {}}]}, "1213", "server_label"),
    ("two groundings", {"tools": [RETRIEVAL, search()]}, "1215", "retrieval与web_search"),
]
STATUS = {"1220": 403}


@pytest.mark.parametrize(
    ("fields", "code", "part"),
    [row[1:] for row in WRONG],
    ids=[row[0] for row in WRONG],
)
def test_a_wrong_field_is_refused_by_name(api: Api, fields, code: str, part: str) -> None:
    response = api.post(question("hello", **fields) if fields else {})
    assert (response.status_code, code_of(response)) == (STATUS.get(code, 400), code)
    assert part in response.json()["error"]["message"]


RIGHT: list[dict[str, Any]] = [
    {"temperature": 0.0, "top_p": 0.01},
    {"temperature": 1, "top_p": 1.0, "do_sample": False},
    {"max_tokens": 131_072},
    {"stop": ["x"]},
    {"tools": [FUNCTION] * 128, "tool_choice": "auto"},
    {"tools": [FUNCTION, search(enable="True", search_result="False", count=50)]},
    {"tools": [RETRIEVAL]},
    {"tools": [{"type": "mcp", "mcp": {"server_label": "x", "transport_type": "sse"}}]},
    {"response_format": {"type": "text"}},
    {"request_id": "123456", "user_id": "x" * 128},
    {"thinking": {"type": "disabled"}, "seed": 3, "meta": {}, "watermark_enabled": True},
    {"sensitive_word_check": {"type": "ALL", "status": "ENABLE"}},
    {"stream": False},
]


@pytest.mark.parametrize("fields", RIGHT, ids=lambda fields: ",".join(fields))
def test_what_the_documents_allow_is_accepted(api: Api, fields: dict[str, Any]) -> None:
    assert api.post(question("hello", **fields)).status_code == 200


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff"])
def test_a_body_that_is_no_json_object_gets_1210(api: Api, content: bytes) -> None:
    response = api.client.post("/chat/completions", content=content)
    assert response.status_code == 400
    assert response.json() == {
        "error": {"code": "1210", "message": "API 调用参数有误，请检查文档。"}
    }


def test_fields_that_are_not_documented_are_ignored_or_refused(api: Api, simulator) -> None:
    body = question("hello", stream_options={"include_usage": True})
    assert api.post(body).status_code == 200
    simulator.control(unknown_fields="refuse")
    assert code_of(api.post(body)) == "1210"


def test_a_prompt_above_the_context_gets_1261(api: Api) -> None:
    fits = "word " * 130_000
    assert api.post(question("hello", messages=[{"role": "user", "content": fits}])).is_success
    response = api.post(question("x", messages=[{"role": "user", "content": "word " * 131_073}]))
    assert response.status_code == 400
    assert response.json() == {"error": {"code": "1261", "message": "Prompt exceeds max length"}}


def test_a_body_above_the_gateways_limit_gets_its_page(api: Api) -> None:
    response = api.client.post("/chat/completions", content=b" " * (16 * 1024 * 1024 + 1))
    assert (response.status_code, response.headers["content-type"]) == (413, "text/html")


def test_a_text_may_be_continued_from_the_assistants_own(api: Api) -> None:
    messages = [USER, {"role": "assistant", "content": "Hel"}]
    assert api.post({"model": MODEL, "messages": messages}).status_code == 200


def test_any_base_path_serves_and_another_path_does_not(api: Api) -> None:
    for path in ("", "/v4", "/api/paas/v4", "/api/coding/paas/v4"):
        assert api.post(question("hello"), path=path).status_code == 200
    response = api.client.post("/api/paas/v4/embeddings", json={})
    assert (response.status_code, code_of(response)) == (404, "1222")


def test_checks_come_in_the_providers_order(api: Api, simulator) -> None:
    """Each fault stands before the next: gateway, auth, parameters, balance and so on."""
    kinds = ["html502", "1004", "1214", "1113", "1301", "1302", "1305"]
    simulator.control(faults=[{"kind": kind, "times": 1} for kind in reversed(kinds)])
    wrong = question("hello", temperature=7)
    gateway = api.post(wrong)
    assert gateway.status_code == 502
    codes = [code_of(api.post(wrong if number < 2 else question("hello"))) for number in range(7)]
    assert codes == ["1004", "1214", "1214", "1113", "1301", "1302", "1305"]
