"""Function tools: which one a question calls for, its arguments, and answers from its result."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from service.simulator.answers.lexicon import language
from service.simulator.answers.question import Question

_NUMBER = re.compile(r"(?<!\w)#?([A-Z]{0,5}-?\d{3,}(?:-\d+)*)(?!\w)", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_COUNT = re.compile(r"\d+")
_ORDER_WORDS = ("order", "number", "tracking", "shipment", "reference", "id")
_FREE_TEXT = ("query", "question", "search", "text", "message", "q", "keyword", "product", "name")
_ORDER_TOPICS = frozenset({"tracking", "order", "cancel", "returns", "refund"})
_VAGUE = frozenset({"order", "contact", "time", "store"})  # no tool is called for these alone


@dataclass(frozen=True, slots=True)
class Choice:
    """A tool to call; `missing` names the first required argument that the text does not give."""

    name: str
    arguments: Mapping[str, Any]
    missing: str | None = None


def choose(tools: Sequence[Mapping[str, Any]], question: Question, text: str) -> Choice | None:
    """The function that the question is about, or None."""
    english = language("en")
    best: tuple[float, Mapping[str, Any]] | None = None
    for tool in tools:
        if tool["type"] != "function":
            continue
        function = tool["function"]
        name_words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", function["name"])
        described = f"{name_words.replace('_', ' ').replace('-', ' ')}. {function['description']}"
        topics = english.topics(described)
        if "status" in described.lower() or "track" in described.lower():
            topics |= {"tracking"}
        shared = topics & question.topics
        score = float(len(shared - _VAGUE)) + 0.5 * len(shared & _VAGUE)
        if "tracking" in topics and _order_number(text) and question.topics & _ORDER_TOPICS:
            score += 1
        if score >= 1 and (best is None or score > best[0]):
            best = (score, function)
    return _filled(best[1], question, text) if best else None


def _order_number(text: str) -> str | None:
    match = _NUMBER.search(text)
    return match.group(1) if match else None


def _filled(function: Mapping[str, Any], question: Question, text: str) -> Choice:
    parameters = function["parameters"]
    required, properties = parameters.get("required"), parameters.get("properties")
    required = required if isinstance(required, list) else []
    arguments: dict[str, Any] = {}
    missing = None
    for name, schema in (properties if isinstance(properties, dict) else {}).items():
        value = _value(name, schema if isinstance(schema, dict) else {}, question, text)
        if value is not None:
            arguments[name] = value
        elif name in required and missing is None:
            missing = name
    return Choice(function["name"], arguments, missing)


def _value(name: str, schema: Mapping[str, Any], question: Question, text: str) -> Any:
    """The argument's value as the text gives it, or None."""
    kind, lowered = schema.get("type", "string"), name.lower()
    allowed = schema.get("enum")
    if isinstance(allowed, list):
        return next((item for item in allowed if _stands_in(str(item), text)), None)
    if kind in ("integer", "number"):
        match = _COUNT.search(text)
        return int(match.group()) if match else None
    if kind == "boolean":
        return True
    if kind != "string":
        return None
    if "mail" in lowered:
        match = _EMAIL.search(text)
        return match.group() if match else None
    if "country" in lowered or "destination" in lowered:
        return question.places[0] if question.places else None
    if "colo" in lowered:
        return question.colours[0] if question.colours else None
    if any(word in lowered for word in _FREE_TEXT) and "number" not in lowered:
        return question.text
    if any(word in lowered for word in _ORDER_WORDS):
        return _order_number(text)
    return None


def _stands_in(word: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def is_order_number(name: str) -> bool:
    """Whether the argument of that name is what a customer knows as the order's number."""
    return "order" in name.lower() or name.lower() in ("number", "id")


def result_text(content: str) -> str:
    """A tool's result in light markdown: an object as a list, everything else as it is."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.strip()
    if isinstance(value, list):
        return "\n".join(f"- {_inline(item)}" for item in value)
    if isinstance(value, dict):
        return "\n".join(f"- **{name}**: {_inline(item)}" for name, item in value.items())
    return str(value)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_inline(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(_inline(item) for item in value)
    return str(value)
