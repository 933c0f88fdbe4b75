"""The chaos rigs by name. A rig is a module with a ``RIG``; it is imported when it is asked for."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

MODULES = {"permits": "tests.chaos.permits.rig"}


@dataclass(frozen=True)
class Task:
    """One run of a rig. ``parts``: those asked for; empty: all. ``say`` shows progress."""

    seed: int
    seconds: float
    parts: tuple[str, ...]
    say: Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """``ok``: nothing that was run missed. ``complete``: all that was asked for was run.

    ``table``: what is shown at the end. ``report``: the same as JSON values.
    """

    ok: bool
    complete: bool
    table: str
    report: dict[str, Any]


@dataclass(frozen=True)
class Rig:
    """``minutes`` are those that it takes by itself."""

    name: str
    summary: str
    minutes: float
    parts: tuple[str, ...]
    run: Callable[[Task], Awaitable[Outcome]]


class UnknownRig(ValueError):
    """The text says what there is."""


def rig(name: str) -> Rig:
    """Raises UnknownRig."""
    if name not in MODULES:
        raise UnknownRig(f"{name!r} is no rig; there {_are(sorted(MODULES))}")
    found: Rig = import_module(MODULES[name]).RIG
    return found


def chosen(only: str) -> list[tuple[Rig, tuple[str, ...]]]:
    """What ``only`` asks for: rigs, and of each the parts; no parts are all.

    "" is every rig, "permits" one, "permits:steady,storm" two parts of it; several are joined by a
    space. Raises UnknownRig.
    """
    wanted = []
    for word in only.split() or sorted(MODULES):
        name, _, listed = word.partition(":")
        one = rig(name)
        parts = tuple(part for part in listed.split(",") if part)
        for part in parts:
            if part not in one.parts:
                raise UnknownRig(f"{name} has no part {part!r}; there {_are(list(one.parts))}")
        wanted.append((one, parts))
    return wanted


def _are(names: list[str]) -> str:
    return f"{'is' if len(names) == 1 else 'are'} {', '.join(names)}"
