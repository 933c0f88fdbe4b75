"""The ten invariants, checked over a recorded trace when everything is over.

    python -m tests.chaos.checker trace.jsonl [--answer-s 60] [--all]

`checker_trace.py` says what a trace is, `recorder.py` writes one. Each invariant is one function;
its first words are printed, with how much it looked at: an invariant that saw nothing is not
proven, and is told apart. The exit code is 1 where a promise was broken.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos import checker_delivery as delivery
from tests.chaos import checker_messages as messages
from tests.chaos import checker_turns as turns
from tests.chaos.checker_case import Bounds, Case, Violation
from tests.chaos.checker_trace import Trace

INVARIANTS: dict[str, Callable[[Case], Iterator[Violation]]] = {
    "I1": delivery.i1_offsets_are_applied_once_and_without_a_hole,
    "I2": delivery.i2_everybody_reads_the_same_text,
    "I3": turns.i3_the_fence_never_goes_back,
    "I4": messages.i4_every_accepted_message_stands_once_and_is_answered_once,
    "I5": delivery.i5_nothing_is_shown_that_is_not_logged,
    "I6": turns.i6_one_owner_writes_under_a_fence,
    "I7": turns.i7_every_tool_is_executed_once,
    "I8": delivery.i8_a_resume_is_one_of_three_and_right,
    "I9": turns.i9_nothing_is_left_behind,
    "I10": delivery.i10_no_frame_of_one_conversation_on_a_socket_of_another,
}
SHOWN = 5  # violations of one invariant that are printed without --all


@dataclass(frozen=True)
class Report:
    """What was broken, and what each invariant looked at."""

    violations: tuple[Violation, ...]
    seen: dict[str, dict[str, int]]

    @property
    def broken(self) -> set[str]:
        return {violation.invariant for violation in self.violations}

    @property
    def unproven(self) -> set[str]:
        """Invariants for which the trace has no evidence."""
        return {name for name, counts in self.seen.items() if not any(counts.values())}

    def text(self, *, most: int | None = SHOWN) -> str:
        lines = []
        for name, check in INVARIANTS.items():
            found = [v for v in self.violations if v.invariant == name]
            looked = ", ".join(
                f"{count:,}{what.removeprefix(name)}" for what, count in self.seen[name].items()
            )
            verdict = f"{len(found)} BROKEN" if found else "holds" if looked else "saw nothing"
            title = check.__name__.split("_", 1)[1].replace("_", " ")
            lines.append(f"{name:4}{verdict:12}{title} [{looked or 'no evidence'}]")
            lines += [f"  {violation}" for violation in found[:most]]
            if most is not None and len(found) > most:
                lines.append(f"  … and {len(found) - most} more")
        return "\n".join(lines)


def check(trace: Trace, bounds: Bounds | None = None) -> Report:
    """Check all ten."""
    violations: list[Violation] = []
    seen: dict[str, dict[str, int]] = {}
    case = Case(trace, bounds)
    for name, invariant in INVARIANTS.items():
        case.seen.clear()
        violations += (replace(found, invariant=name) for found in invariant(case))
        seen[name] = dict(case.seen)
    return Report(tuple(violations), seen)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("trace", type=Path)
    parser.add_argument("--answer-s", type=float, default=Bounds.answer_s)
    parser.add_argument("--all", action="store_true", help="print every violation")
    given = parser.parse_args(arguments)
    trace = Trace.read(given.trace)
    report = check(trace, Bounds(answer_s=given.answer_s))
    print(f"{given.trace}: {trace.lines:,} records, {len(trace.sockets):,} sockets, "
          f"{len(trace.logs):,} conversations, {len(trace.faults):,} faults")  # fmt: skip
    print(report.text(most=None if given.all else SHOWN))
    return 1 if report.violations else 0


if __name__ == "__main__":
    sys.exit(main())
