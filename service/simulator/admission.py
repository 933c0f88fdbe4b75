"""Every check before the model begins, in the provider's order.

gateway, auth, parameters, balance, moderation, concurrency, overload: the first that fails answers.
Faults strike at the stage of the check they imitate.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from service.simulator import validation
from service.simulator.errors import Refusal, Stage, error_body, html_page, refusal
from service.simulator.faults import Fault, FaultError, marked, parse_spec
from service.simulator.scripts import prompt_hash
from service.simulator.state import Simulation
from service.simulator.stats import Record
from service.simulator.tier import Line
from service.simulator.validation import ChatRequest

MAX_BODY_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Admission:
    """An accepted request: counted in the tier already, so its work must be begun and ended."""

    request: ChatRequest
    account: str
    newest: str  # the customer's newest message, without markers
    faults: list[Fault]
    line: Line


class _Faults:
    """The faults of one request: its own and, as their turn comes, the standing ones."""

    def __init__(self, simulation: Simulation, text: str, model: str, own: list[Fault]) -> None:
        self._simulation = simulation
        self._text = text
        self._model = model
        self._own = own

    def at(self, stage: Stage) -> list[Fault]:
        own = [fault for fault in self._own if fault.stage is stage]
        return own or self._simulation.faults.take(stage, text=self._text, model=self._model)

    def strike(self, stage: Stage, **fields: str) -> None:
        for fault in self.at(stage):
            raise _refusal_of(fault, fields)


def admit(simulation: Simulation, record: Record, secrets: Mapping[str, str]) -> Admission:
    """The accepted request, or `Refusal`. `secrets` has the headers that the record leaves out."""
    body, broken = _parse(record.body)
    newest_marked, model = newest_user_text(body), _model_of(body)
    try:
        newest, own = marked(newest_marked)
        own += parse_spec(record.headers.get("x-simulate", ""))
    except FaultError as error:
        raise refusal("1210", f"X-Simulate: {error}") from error
    faults = _Faults(simulation, newest_marked, model, own)
    faults.strike(Stage.GATEWAY)
    account = simulation.keys.account(secrets.get("authorization"))
    record.account, record.model = account, model
    faults.strike(Stage.AUTH)
    if broken:
        raise refusal("1210")
    request = validation.check(body, simulation.options)
    record.prompt_hash = prompt_hash(request.messages)
    faults.strike(Stage.PARAMETERS, request_id=request.request_id or "")
    _check_duplicate(simulation, account, request)
    faults.strike(Stage.BALANCE)
    faults.strike(Stage.MODERATION)
    faults.strike(Stage.CONCURRENCY)
    line = _enter(simulation, faults, account, request.model)
    return Admission(request, account, newest, faults.at(Stage.WORK), line)


def _enter(simulation: Simulation, faults: _Faults, account: str, model: str) -> Line:
    options, tier = simulation.options, simulation.tier
    if not (options.enforce_tier and tier.full(account, model, options.tier)):
        faults.strike(Stage.OVERLOAD)  # only who passes the tier meets the platform's load
    line = tier.enter(
        account, model, limit=options.tier, enforce=options.enforce_tier, now=int(time.time())
    )
    if line is None:
        raise refusal("1302")
    return line


def _check_duplicate(simulation: Simulation, account: str, request: ChatRequest) -> None:
    if simulation.options.duplicate_request_id != "refuse" or request.request_id is None:
        return
    if (account, request.request_id) in simulation.in_flight:
        raise refusal("1231", request_id=request.request_id)


def _refusal_of(fault: Fault, fields: Mapping[str, str]) -> Refusal:
    if fault.kind == "html429":
        return html_page(429, "Too Many Requests")
    if fault.kind == "html502":
        return html_page(502, "Bad Gateway")
    if fault.kind == "error_200":
        body = error_body(str(fault.whole("code")))
        return Refusal(200, body, "error_200", "application/json; charset=UTF-8")
    return refusal(fault.kind, **fields)


def _parse(raw: bytes) -> tuple[object, bool]:
    try:
        return orjson.loads(raw), False
    except orjson.JSONDecodeError:
        return None, True


def newest_user_text(body: object) -> str:
    """The newest user message of a body that may still be wrong in every way."""
    messages: Any = body.get("messages") if isinstance(body, dict) else None
    for message in reversed(messages) if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            return content if isinstance(content, str) else ""
    return ""


def _model_of(body: object) -> str:
    model = body.get("model") if isinstance(body, dict) else None
    return model if isinstance(model, str) else ""
