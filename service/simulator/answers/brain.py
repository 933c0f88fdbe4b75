"""One request in, one reply out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from service.simulator.answers import functions, websearch, wording
from service.simulator.answers.continuation import begun
from service.simulator.answers.facts import Facts, parse
from service.simulator.answers.lexicon import language
from service.simulator.answers.question import Kind, Question, fold_conversation
from service.simulator.answers.reply import Reply
from service.simulator.answers.search import Finding, find
from service.simulator.faults import unmarked
from service.simulator.tools import web_search_of
from service.simulator.validation import ChatRequest

MAX_HISTORY = 24  # of the customer's messages that follow-ups are resolved over
MAX_QUESTION = 2000  # characters of a message that are understood; the rest is only counted


def compose(request: ChatRequest, seed: int) -> Reply:
    """The reply to a request; the same for the same request and seed."""
    messages, continued = begun(request.messages)
    facts = _facts(messages)
    texts = [
        unmarked(str(message["content"]))[:MAX_QUESTION]
        for message in messages
        if message["role"] == "user"
    ]
    questions = fold_conversation(texts[-MAX_HISTORY:], facts.reply_language)
    if not questions:  # tool results only
        questions = fold_conversation([""], facts.reply_language)
    newest = questions[-_trailing(messages) :]
    result = _tool_result(messages)
    if result is None:
        call = _tool_call(request, messages, newest[-1], texts, facts)
        if call is not None:
            return call
        text, findings = _spoken(newest, facts, seed)
    else:
        text = wording.found(newest[-1].language, functions.result_text(result))
        findings = find(newest[-1], facts)
    if not any(message["role"] == "assistant" for message in messages):
        text += "\n\n" + wording.demo_line(newest[-1].language)
    if request.json_object:
        text = _as_json(text, newest[-1], findings)
    search = web_search_of(request.tools)
    web = websearch.results(search, facts, findings) if search is not None else None
    return Reply(text, web_search=web, continued=continued, language=newest[-1].language)


def _facts(messages: Sequence[Mapping[str, Any]]) -> Facts:
    system = "\n".join(
        str(message["content"]) for message in messages if message["role"] == "system"
    )
    return parse(system)


def _trailing(messages: Sequence[Mapping[str, Any]]) -> int:
    """How many of the customer's messages stand after the assistant's last; at least one."""
    count = 0
    for message in reversed(messages):
        if message["role"] == "user":
            count += 1
        elif message["role"] == "assistant" and count:
            break
    return max(1, count)


def _tool_result(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """The newest results of tools, if nothing was asked since."""
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] != "tool":
            break
        results.append(str(message["content"]))
    return "\n\n".join(reversed(results)) if results else None


def _tool_call(
    request: ChatRequest,
    messages: Sequence[Mapping[str, Any]],
    question: Question,
    texts: Sequence[str],
    facts: Facts,
) -> Reply | None:
    if question.kind != Kind.QUESTION:
        return None
    recent = "\n".join(reversed(texts[-3:]))  # an order's number may stand in an earlier message
    choice = functions.choose(request.tools, question, recent)
    if choice is None:
        return None
    if choice.missing is None:
        arguments = orjson.dumps(dict(choice.arguments)).decode()
        return Reply("", tool_calls=({"name": choice.name, "arguments": arguments},))
    if not functions.is_order_number(choice.missing):
        return None
    text = wording.needed(question.language, None)
    if not any(message["role"] == "assistant" for message in messages):
        text += "\n\n" + wording.demo_line(question.language)
    return Reply(text, continued=begun(request.messages)[1], language=question.language)


def _spoken(questions: Sequence[Question], facts: Facts, seed: int) -> tuple[str, list[Finding]]:
    """The answer to the newest messages together: they may have come while another was written."""
    asked = [question for question in questions if question.kind == Kind.QUESTION]
    if not asked:
        last = questions[-1]
        if last.kind == Kind.THANKS:
            return wording.thanks(last.language), []
        return wording.greeting(last.language, facts), []
    parts: list[str] = []
    all_findings: list[Finding] = []
    for question in asked:
        findings = find(question, facts)
        if facts.contact and _asks_for_contact(question, findings):
            part = wording.contact(language(question.language), facts)
        else:
            part = wording.answer(question, findings, facts, seed)
        if part not in parts:
            parts.append(part)
        all_findings += findings
    return "\n\n".join(parts), all_findings


def _asks_for_contact(question: Question, findings: Sequence[Finding]) -> bool:
    """Whether the prompt's own line on the contact answers best: no passage is about it."""
    told = any("contact" in finding.passage.title_topics for finding in findings)
    return question.own_topics == {"contact"} and not told


def _as_json(text: str, question: Question, findings: Sequence[Finding]) -> str:
    sources = [finding.passage.title for finding in findings]
    answer = {"answer": text, "language": question.language, "sources": sources}
    return orjson.dumps(answer).decode()
