"""Tools: which one is called, with what, and what is said of its result."""

import json
from typing import Any

import pytest

from tests.simulator.api import MODEL, Api, dialogue, question

ORDER = {
    "type": "function",
    "function": {
        "name": "get_order_status",
        "description": "Looks up the status of an order and where its parcel is",
        "parameters": {
            "type": "object",
            "properties": {"order_number": {"type": "string"}},
            "required": ["order_number"],
        },
    },
}
STOCK = {
    "type": "function",
    "function": {
        "name": "checkStock",
        "description": "Tells whether a product is in stock",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string"},
                "colour": {"type": "string"},
                "country": {"type": "string"},
                "size": {"type": "string", "enum": ["S", "M", "XL"]},
                "amount": {"type": "integer"},
                "exact": {"type": "boolean"},
                "email": {"type": "string"},
            },
            "required": ["query"],
        },
    },
}


def call(api: Api, *texts: str, tools: tuple[Any, ...] = (ORDER, STOCK)) -> tuple[str, Any] | None:
    """The name and arguments of the tool that is called."""
    choice = api.post(question(*texts, tools=list(tools))).json()["choices"][0]
    calls = choice["message"].get("tool_calls")
    if not calls:
        return None
    assert choice["finish_reason"] == "tool_calls"
    function = calls[0]["function"]
    return function["name"], json.loads(function["arguments"])


@pytest.mark.parametrize(
    "text",
    [
        "Where is my order NL-10234?",
        "Wo ist meine Bestellung NL-10234?",
        "我的订单 NL-10234 到哪了？",
        "أين طلبي NL-10234؟",
        "Missä tilaukseni NL-10234 on?",
    ],
)
def test_a_question_about_an_order_calls_the_orders_tool(api: Api, text: str) -> None:
    assert call(api, text) == ("get_order_status", {"order_number": "NL-10234"})


def test_the_orders_number_may_come_in_a_later_message(api: Api) -> None:
    asked = api.ask("Where is my order?", tools=[ORDER])
    assert "I still need your order number" in asked
    assert call(api, "Where is my order?", "it is 778899") == (
        "get_order_status",
        {"order_number": "778899"},
    )


def test_arguments_are_filled_from_the_text(api: Api) -> None:
    text = "Are 2 of the Storm jackets in stock in blue, size M, for Norway? me@shop.example"
    assert call(api, text) == (
        "checkStock",
        {
            "query": text,
            "colour": "blue",
            "country": "NO",
            "size": "M",
            "amount": 2,
            "exact": True,
            "email": "me@shop.example",
        },
    )


def test_a_question_about_something_else_calls_no_tool(api: Api) -> None:
    assert call(api, "How can I pay?") is None
    assert call(api, "hello") is None


def conversation_with_result(result: str, asked: str = "Where is my order NL-10234?") -> dict:
    calling = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_order_status", "arguments": '{"order_number":"NL-10234"}'},
    }
    messages = [
        *dialogue(asked),
        {"role": "assistant", "content": "", "tool_calls": [calling]},
        {"role": "tool", "tool_call_id": "call_1", "content": result},
    ]
    return {"model": MODEL, "messages": messages, "tools": [ORDER]}


def test_the_answer_comes_from_the_tools_result(api: Api) -> None:
    result = json.dumps({"status": "shipped", "parcels": [{"number": 1}], "days": 2})
    choice = api.post(conversation_with_result(result)).json()["choices"][0]
    assert choice["finish_reason"] == "stop"
    text = choice["message"]["content"]
    assert text.startswith("This is what I found:")
    assert "- **status**: shipped\n- **parcels**: number: 1\n- **days**: 2" in text


def test_a_result_may_be_a_text_or_a_list(api: Api) -> None:
    def answered(result: str) -> str:
        body = conversation_with_result(result, asked="Wo ist meine Bestellung NL-10234?")
        return str(api.post(body).json()["choices"][0]["message"]["content"])

    assert answered("It is on its way.").startswith("Das habe ich gefunden:\n\nIt is on its way.")
    assert "- one\n- two" in answered('["one", "two"]')


def test_only_the_function_among_several_tools_is_called(api: Api) -> None:
    search = {"type": "web_search", "web_search": {"enable": True}}
    assert call(api, "Where is my order NL-10234?", tools=(search, ORDER)) is not None


SEARCH = {"enable": True, "search_engine": "search_pro_sogou", "search_result": True, "count": 3}


def test_search_results_stand_beside_the_answer(api: Api) -> None:
    tools = [{"type": "web_search", "web_search": SEARCH}]
    body = api.post(question("How can I pay?", tools=tools)).json()
    assert len(body["web_search"]) == 3
    first = body["web_search"][0]
    assert (first["title"], first["refer"]) == ("Payment", "ref_1")
    assert set(first) == {"title", "link", "content", "media", "icon", "refer", "publish_date"}
    assert first["link"].startswith("https://")
    assert "tool_calls" not in body["choices"][0]["message"]


@pytest.mark.parametrize(
    "changes", [{"search_result": False}, {"search_result": "False"}, {"enable": False}]
)
def test_search_results_are_given_only_where_asked_for(api: Api, changes) -> None:
    tools = [{"type": "web_search", "web_search": {**SEARCH, **changes}}]
    assert "web_search" not in api.post(question("How can I pay?", tools=tools)).json()


def test_plain_engines_give_no_links(api: Api) -> None:
    search = {"search_result": "True", "search_engine": "search_std", "count": 1}
    body = api.post(question("hello", tools=[{"type": "web_search", "web_search": search}])).json()
    assert [result["link"] for result in body["web_search"]] == [""]


def test_a_stream_has_search_results_on_its_last_chunk_by_switch(api: Api, simulator) -> None:
    tools = [{"type": "web_search", "web_search": SEARCH}]
    assert all("web_search" not in chunk for chunk in api.stream("hello", tools=tools).chunks)
    simulator.control(web_search_stream=True)
    *others, last = api.stream("hello", tools=tools).chunks
    assert len(last["web_search"]) == 3
    assert all("web_search" not in chunk for chunk in others)
