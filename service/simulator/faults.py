"""Failures on demand: each one that the endpoint is known or said to show.

A fault is written `kind name=value …`, several are joined by `;`. It comes

* with one request, in the header `X-Simulate: stall after=5`,
* with one request, in the newest message: `[[simulate:stall after=5]]` (a browser can ask so),
* for coming requests, through the control endpoint, where `times` (1; -1 is "until reset"), `skip`,
  `match` (a part of the newest message), `model` and `probability` say for which.

`after` counts model tokens that are still sent. Times are seconds.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.simulator.errors import TABLE, Stage
from service.simulator.modes import MODES

FOREVER = -1.0

_AFTER = {"after": 5.0}
STREAM_KINDS: dict[str, dict[str, float]] = {
    "stall": {**_AFTER, "for": FOREVER},  # silence in mid-stream, then it goes on
    "eof": _AFTER,  # a well-formed end of the body, but no [DONE]
    "cut": _AFTER,  # the connection is closed in mid-body
    "truncated": {**_AFTER, "end": 0.0},  # one frame whose JSON stops; end=1: nothing after it
    "comments": {"every": 1.0},  # `: keep-alive` lines between frames
    "empty_choices": {"every": 3.0},  # frames with `choices: []` between the others
    "split": {"bytes": 1.0, "crlf": 1.0},  # each write this many bytes; CRLF line ends
    "sensitive": _AFTER,  # finish_reason, with content_filter and no usage
    "network_error": _AFTER,  # finish_reason
    "error_inband": {**_AFTER, "code": 1234.0, "event": 0.0},  # data: {"error": …}, then the end
    "half_emoji": {"after": 2.0, "lone": 0.0},  # surrogates in two frames; lone=1: only the first
    "empty": {},  # an answer without content
    "pace": {"first_token_ms": FOREVER, "tokens_per_second": FOREVER},  # this request's own
    "long": {"tokens": 600.0},  # the answer repeated to this length
    # Asked to continue, it does it in this way instead of the one that the seed picks.
    **{mode: {"words": 0.0} if mode == "repeat" else {} for mode in MODES},  # 0: by the seed
    "hang": {"for": FOREVER},  # accepted, but no response headers
}
REFUSING_KINDS: dict[str, tuple[Stage, dict[str, float]]] = {
    "html429": (Stage.GATEWAY, {}),
    "html502": (Stage.GATEWAY, {}),
    "error_200": (Stage.OVERLOAD, {"code": 1301.0}),  # status 200 with an error body
}
_SCOPE = ("times", "skip", "match", "model", "probability")
_MARKER = re.compile(r"[ \t]*\[\[simulate:([^\]]*)\]\]")


class FaultError(ValueError):
    """A fault's spelling is wrong; the text says what is known."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure: its kind, the check at which it strikes, its numbers."""

    kind: str
    stage: Stage
    numbers: Mapping[str, float] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """A number of the fault, by default that of its kind."""
        return self.numbers[name]

    def whole(self, name: str) -> int:
        """A number that counts something."""
        return int(self.numbers[name])


def make_fault(kind: str, given: Mapping[str, object]) -> Fault:
    """The fault of that kind; `FaultError` for an unknown kind, name or value."""
    stage, defaults = Stage.WORK, dict[str, float]()
    if kind in TABLE:
        stage = TABLE[kind].stage
    elif kind in REFUSING_KINDS:
        stage, defaults = REFUSING_KINDS[kind]
    elif kind in STREAM_KINDS:
        defaults = STREAM_KINDS[kind]
    else:
        known = ", ".join([*STREAM_KINDS, *REFUSING_KINDS])
        raise FaultError(f"unknown fault {kind!r}; known are {known} and the error codes")
    numbers = dict(defaults)
    for name, value in given.items():
        if name not in defaults:
            raise FaultError(f"{kind} takes {', '.join(defaults) or 'nothing'}, not {name!r}")
        try:
            numbers[name] = float(str(value))
        except ValueError as error:
            raise FaultError(f"{kind} {name}={value!r} is not a number") from error
    if "code" in numbers and str(int(numbers["code"])) not in TABLE:
        raise FaultError(f"{kind} code={int(numbers['code'])} is not in the error table")
    if any(numbers[name] < 1 for name in ("bytes", "every", "words") if name in given):
        raise FaultError(f"{kind} needs a number of at least 1")
    return Fault(kind, stage, numbers)


def parse_spec(spec: str) -> list[Fault]:
    """The faults of a compact spec: `stall after=5; comments`."""
    faults = []
    for part in spec.split(";"):
        words = part.split()
        if not words:
            continue
        kind, *pairs = words
        given: dict[str, object] = {}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if not equals:
                raise FaultError(f"{pair!r} is not of the form name=value")
            given[name] = value
        faults.append(make_fault(kind, given))
    return faults


def unmarked(text: str) -> str:
    """`text` without its markers, whatever they say."""
    return _MARKER.sub("", text).strip() if "[[simulate:" in text else text


def marked(text: str) -> tuple[str, list[Fault]]:
    """`text` without its markers, and the faults that they ask for."""
    if "[[simulate:" not in text:
        return text, []
    faults = [fault for spec in _MARKER.findall(text) for fault in parse_spec(spec)]
    return unmarked(text), faults


@dataclass(slots=True)
class Standing:
    """A fault of the control endpoint, waiting for its requests."""

    fault: Fault
    times: int = 1  # -1: until reset
    skip: int = 0
    match: str = ""
    model: str = ""
    probability: float = 1.0


class FaultBook:
    """The standing faults, in order; each strikes the requests it is for, then is spent."""

    def __init__(self, seed: int) -> None:
        self._standing: list[Standing] = []
        self._random = random.Random(seed)

    def replace(self, standing: list[Standing], seed: int) -> None:
        """Forget all and keep these."""
        self._standing = list(standing)
        self._random = random.Random(seed)

    def take(self, stage: Stage, *, text: str, model: str) -> list[Fault]:
        """The faults that strike this request at this stage, now spent once.

        `text` is the newest message with its markers. One fault refuses a request; during work
        several act together.
        """
        struck = []
        for standing in self._standing:
            if standing.fault.stage is not stage or standing.times == 0:
                continue
            if standing.match not in text or standing.model not in ("", model):
                continue
            if standing.skip > 0:
                standing.skip -= 1
                continue
            if standing.probability < 1 and self._random.random() >= standing.probability:
                continue
            if standing.times > 0:
                standing.times -= 1
            struck.append(standing.fault)
            if stage is not Stage.WORK:
                break
        self._standing = [standing for standing in self._standing if standing.times != 0]
        return struck

    def snapshot(self) -> list[dict[str, Any]]:
        """What still stands, as JSON values."""
        return [
            {"kind": item.fault.kind, **item.fault.numbers, "times": item.times, "skip": item.skip}
            for item in self._standing
        ]


def standing_fault(entry: object) -> Standing:
    """One entry of the control endpoint's `faults`; `FaultError` if it is none."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), (str, int)):
        raise FaultError(f"a fault is an object with a `kind`, not {entry!r}")
    given = {name: value for name, value in entry.items() if name not in ("kind", *_SCOPE)}
    standing = Standing(make_fault(str(entry["kind"]), given))
    for name in ("times", "skip"):
        value = entry.get(name, getattr(standing, name))
        if isinstance(value, bool) or not isinstance(value, int) or value < -1:
            raise FaultError(f"{name}={value!r} is not a whole number")
        setattr(standing, name, value)
    for name in ("match", "model"):
        value = entry.get(name, "")
        if not isinstance(value, str):
            raise FaultError(f"{name}={value!r} is not a text")
        setattr(standing, name, value)
    probability = entry.get("probability", 1.0)
    if not isinstance(probability, (int, float)) or not 0 <= probability <= 1:
        raise FaultError(f"probability={probability!r} is not within 0…1")
    standing.probability = float(probability)
    return standing
