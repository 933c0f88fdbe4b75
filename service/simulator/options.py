"""What the simulator can be told, at start and while it runs: one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.simulator.modes import MODES, SEEDED

TIERS = {"V0": 50, "V1": 100, "V2": 300, "V3": 500}  # the provider's benefit levels, this model
MAX_TIER = 100_000
MAX_LAG_MS = 500  # of a place that lingers after the last byte
MAX_DELAY_MS = 600_000  # longer than any answer takes: as good as never
DEFAULT_MODELS = (
    "glm-4-flashx-250414",
    "glm-4-flash-250414",
    "glm-4-flashx",
    "glm-4-flash",
    "glm-4-air-250414",
    "glm-4-plus",
    "glm-4-long",
    "glm-4.5",
    "glm-4.5-air",
    "glm-4.5-flash",
    "glm-4.6",
)


class OptionError(ValueError):
    """An option's value is wrong; the text names the option and what it takes."""


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """All switches. Those named in `CHANGEABLE` can be changed through the control endpoint."""

    host: str = "127.0.0.1"
    port: int = 8089  # 0: a free one
    tier: int = TIERS["V0"]  # requests in flight per (account, model)
    enforce_tier: bool = True  # False: count what goes over, refuse nothing
    keys: tuple[str, ...] = ()  # none: any key of the form id.secret
    models: tuple[str, ...] = DEFAULT_MODELS
    first_token_ms: float = 200.0
    tokens_per_second: float = 80.0  # 0: all at once
    jitter: float = 0.25  # spread of both, as a share of the mean
    seed: int = 0
    unknown_fields: str = "ignore"  # or "refuse": 1210
    object_field: bool = True  # captures of 2025 lack `object`, those of 2026 have it
    finish_reason: str = "absent"  # on chunks before the last; or "null", as the documents say
    web_search_stream: bool = False  # search results on the stream's last chunk
    duplicate_request_id: str = "ignore"  # or "refuse": 1231 while the first is in flight
    continuation: str = SEEDED  # how it goes on if asked to continue: one of `MODES`, or by seed
    release_lag_ms: float = 0.0  # a place in the tier is free so long after the last byte
    disconnect_delay_ms: float | None = (
        0.0  # work is aborted so long after its client left; or never
    )
    write_stall: bool = False  # a reader who does not read holds the model's work up
    keep_requests: int = 64  # newest requests that `/_requests` shows
    parent_fd: int | None = None  # a pipe; its end of file ends this process


def parse_tier(value: object) -> int:
    """A tier by name (`V0` … `V3`) or number; `OptionError` otherwise."""
    if isinstance(value, str):
        name = value.strip().upper()
        if name in TIERS:
            return TIERS[name]
        if name.isdecimal():
            value = int(name)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_TIER:
        return value
    raise OptionError(f"tier: {value!r} is none of {', '.join(TIERS)} and no number 1…{MAX_TIER}")


def _number(low: float, high: float) -> Callable[[str, object], float]:
    def check(name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise OptionError(f"{name}: {value!r} is not a number")
        if not low <= value <= high:
            raise OptionError(f"{name}: {value!r} is not within {low:g}…{high:g}")
        return float(value)

    return check


_NEVER = "never"


def parse_delay(name: str, value: object) -> float | None:
    """A delay in ms, as a number or its text; None for `never` or None. `OptionError` otherwise."""
    if value is None or value == _NEVER:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError
        delay = float(value)
    except ValueError:
        raise OptionError(f"{name}: {value!r} is neither a number nor {_NEVER!r}") from None
    if not 0 <= delay <= MAX_DELAY_MS:
        raise OptionError(f"{name}: {value!r} is not within 0…{MAX_DELAY_MS} nor {_NEVER!r}")
    return delay


def shown_delay(delay: float | None) -> float | str:
    """A delay as `parse_delay` takes it and JSON can carry it."""
    return _NEVER if delay is None else delay


def _integer(low: int, high: int) -> Callable[[str, object], int]:
    def check(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise OptionError(f"{name}: {value!r} is not a whole number within {low}…{high}")
        return value

    return check


def _one_of(*allowed: str) -> Callable[[str, object], str]:
    def check(name: str, value: object) -> str:
        if value not in allowed:
            raise OptionError(f"{name}: {value!r} is none of {', '.join(allowed)}")
        return str(value)

    return check


def _switch(name: str, value: object) -> bool:
    if value in ("on", "off"):
        return value == "on"
    if not isinstance(value, bool):
        raise OptionError(f"{name}: {value!r} is neither true nor false")
    return value


CHANGEABLE: dict[str, Callable[[str, object], Any]] = {
    "tier": lambda _name, value: parse_tier(value),
    "enforce_tier": _switch,
    "first_token_ms": _number(0, 600_000),
    "tokens_per_second": _number(0, 100_000),
    "jitter": _number(0, 0.9),
    "seed": _integer(-(2**53), 2**53),
    "unknown_fields": _one_of("ignore", "refuse"),
    "object_field": _switch,
    "finish_reason": _one_of("absent", "null"),
    "web_search_stream": _switch,
    "duplicate_request_id": _one_of("ignore", "refuse"),
    "continuation": _one_of(*MODES, SEEDED),
    "release_lag_ms": _number(0, MAX_LAG_MS),
    "disconnect_delay_ms": parse_delay,
    "write_stall": _switch,
    "keep_requests": _integer(1, 10_000),
}


def changed(options: SimulatorOptions, changes: Mapping[str, object]) -> SimulatorOptions:
    """`options` with `changes` applied, all or none; `OptionError` names the first wrong one."""
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in CHANGEABLE:
            raise OptionError(f"{name}: unknown; known are {', '.join(CHANGEABLE)}")
        checked[name] = CHANGEABLE[name](name, value)
    return replace(options, **checked)
