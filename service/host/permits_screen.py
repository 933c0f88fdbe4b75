"""How `parley permits` draws its report: for terminals narrow and wide, with colour and without.

A pure function of the report and of what the terminal can do. What is calm is faint; what somebody
should look at has a colour, and a word that says the same without one.
"""

import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from service.host.permits_report import CLASSES, Report, Session
from service.host.permits_table import Cell, Column, table

LABEL = 9  # characters of the left column
MARGIN = 2
NARROWEST = 40
SILENT_MS = 3000  # of its lease (5 s) left: it missed a heartbeat
WIDEST = 110  # longer lines are harder to read, and a bar gains nothing
STYLES = {"bold": "1", "faint": "2", "good": "32", "warn": "33", "bad": "1;31"}  # ANSI


class Glyphs(NamedTuple):
    """One character each: what a permit can be, in the bar."""

    held: str
    lingering: str
    quarantined: str
    free: str
    closed: str


BLOCKS = Glyphs("█", "▒", "╳", "░", "·")
ASCII = Glyphs("#", "~", "x", "-", ".")


class Terminal(NamedTuple):
    """What there is to draw on."""

    width: int = 80
    colour: bool = False
    glyphs: Glyphs = BLOCKS

    def paint(self, text: str, style: str) -> str:
        """``text`` in a style of ``STYLES``, or as it is."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.colour and style and text else text

    @property
    def room(self) -> int:
        return max(NARROWEST, min(self.width, WIDEST))


def draw(report: Report, on: Terminal) -> list[str]:
    """The lines, none wider than the terminal where that has ``NARROWEST`` columns."""
    return [
        *_heading(report, on),
        "",
        *_use(report, on),
        *_reasons(report, on),
        *_provider(report, on),
        "",
        *_waits(report, on),
        "",
        *_queues(report, on),
        "",
        *_sessions(report, on),
    ]


def _heading(report: Report, on: Terminal) -> list[str]:
    which = f"account {report.account}, epoch {report.epoch}"
    return [
        *_row("Permits", report.model, on, "bold"),
        *_row("", which, on, "faint"),
    ]


# -- what is in use -----------------------------------------------------------------------


def _use(report: Report, on: Terminal) -> list[str]:
    debt = report.used - report.admissible
    said = f"{report.used} of {report.admissible}"
    said += f", tier {report.tier}" if report.admissible != report.tier else " (the tier)"
    lines = _row("In use", said, on, "bold")
    if debt > 0:
        remark = f"{debt} above what is allowed now: no grants until they have ended"
        lines += _row("", remark, on, "warn")
    parts = _parts(report, on.glyphs)
    widths = cells([count for count, *_ in parts], on.room - MARGIN - LABEL)
    bar = "".join(
        on.paint(glyph * cell, style)
        for (_, glyph, _, style), cell in zip(parts, widths, strict=True)
    )
    lines.append(" " * (MARGIN + LABEL) + bar)
    legend = [
        (f"{glyph} {count} {name}", style)
        for count, glyph, name, style in parts
        if count or name == "held"
    ]
    if report.background:
        legend.append((f"({report.background} background)", "faint"))
    return [*lines, *_flow(legend, on)]


Part = tuple[int, str, str, str]


def _parts(report: Report, glyphs: Glyphs) -> list[Part]:
    """How many, glyph, name and style of each kind of permit; together the tier, or all used."""
    free = max(0, report.admissible - report.used)
    closed = max(0, report.tier - max(report.admissible, report.used))
    kept = ("free", "faint") if report.circuit.state == "closed" else ("kept back", "warn")
    return [
        (report.held, glyphs.held, "held", "good"),
        (report.lingering, glyphs.lingering, "lingering", "warn"),
        (report.quarantined, glyphs.quarantined, "quarantined", "bad"),
        (free, glyphs.free, *kept),
        (closed, glyphs.closed, "closed", "faint"),
    ]


def cells(counts: Sequence[int], room: int) -> list[int]:
    """Characters for each count: one a permit where they fit, else in proportion, at least one."""
    total = sum(counts)
    if total <= room:
        return list(counts)
    widths = [max(1, count * room // total) if count else 0 for count in counts]
    widths[widths.index(max(widths))] += room - sum(widths)
    return widths


def _reasons(report: Report, on: Terminal) -> list[str]:
    lines: list[str] = []
    for reason in report.why:
        lines += _row("Why" if not lines else "", reason, on, "warn")
    if report.hold_ms:
        each = report.hold_ms / max(1, report.limit)
        said = f"{span(report.hold_ms)} on average: a place in the queue costs {span(each)}"
        lines += _row("Hold", said, on)
    return lines


def _provider(report: Report, on: Terminal) -> list[str]:
    """What the provider says; a circuit that is not closed stands among the reasons."""
    blocked, refused = report.blocked, report.refused
    lines: list[str] = []
    if blocked is not None:
        said = f"BLOCKED with {blocked.code} for {span(blocked.since_ms)}, {times(blocked.times)}"
        lines += _row("Account", f"{said}: {blocked.advice}", on, "bad")
    if refused is not None and report.limit >= report.cap:  # else a reason says so
        said = f"1302 or 1303 {times(refused.times)}, last {span(refused.last_ms)} ago"
        lines += _row("Refused", said, on)
    if refused is not None and refused.lag_ms:
        said = f"{span(refused.lag_ms)} after each request, learned from the refusals"
        lines += _row("Linger", said, on)
    if blocked is None and report.circuit.state == "closed":
        lines += _row("Provider", "account not blocked, circuit closed", on, "faint")
    return lines


# -- the tables ---------------------------------------------------------------------------


def _waits(report: Report, on: Terminal) -> list[str]:
    columns = [
        Column("WAIT", left=True), Column("P50"), Column("P95"), Column("P99"),
        Column("MAX", spare=1), Column("OF", spare=2),
    ]  # fmt: skip
    rows = []
    for name in CLASSES:
        wait = report.waits.get(name)
        if wait is None:
            rows.append([(name, ""), *[("-", "faint")] * 5])
            continue
        spans = [wait.p50_ms, wait.p95_ms, wait.p99_ms, wait.max_ms]
        rows.append([(name, ""), *((span(ms), "") for ms in spans), (str(wait.count), "faint")])
    return _table(columns, rows, on)


def _queues(report: Report, on: Terminal) -> list[str]:
    if not report.queues:
        return [" " * MARGIN + on.paint("Nobody waits.", "faint")]
    columns = [
        Column("QUEUE", left=True), Column("CLASS", left=True), Column("WAITING"),
        Column("NEXT PLACE", spare=1),
    ]  # fmt: skip
    rows = [
        [(one.site or "-", ""), (one.priority, ""), (str(one.waiting), "warn"),
         (str(one.first_place or "-"), "")]
        for one in report.queues
    ]  # fmt: skip
    total = sum(report.waiting.values())
    rows.append([("all", "bold"), ("", ""), (str(total), "bold"), ("", "")])
    return _table(columns, rows, on)


def _sessions(report: Report, on: Terminal) -> list[str]:
    columns = [
        Column("WORKER", left=True), Column("PID", spare=2), Column("HOST", left=True, spare=3),
        Column("STATE", left=True), Column("HELD"), Column("WAITING"),
        Column("REMARK", left=True, spare=1), Column("SESSION", left=True, spare=4),
    ]  # fmt: skip
    if not report.sessions:
        return [" " * MARGIN + on.paint("No worker is registered.", "warn")]
    rows = [_session(one) for one in report.sessions]
    if report.lingering:
        rows.append([
            ("nobody's", "faint"), *[("", "")] * 2, ("lingering", "warn"),
            (str(report.lingering), ""), ("", ""), ("of requests that were cut", "faint"), ("", ""),
        ])  # fmt: skip
    return _table(columns, rows, on)


def _session(one: Session) -> list[Cell]:
    state = {"live": "good", "quarantined": "bad", "awaited": "warn"}.get(one.state, "")
    return [
        (one.worker or f"({one.session[:8]})", "" if one.worker else "faint"),
        (str(one.pid or "-"), "faint"),
        (one.host or "-", "faint"),
        (one.state, state),
        (str(one.held), ""),
        (str(one.waiting), ""),
        (_remark(one), "warn"),
        (one.session, "faint"),
    ]


def _remark(one: Session) -> str:
    """What is out of the ordinary with a worker."""
    if one.state == "quarantined":
        return f"silent: freed in {span(one.due_ms)}"
    if one.state == "awaited":
        return "not back yet"
    return f"silent: lease ends in {span(one.due_ms)}" if one.due_ms < SILENT_MS else ""


def _table(columns: list[Column], rows: list[list[Cell]], on: Terminal) -> list[str]:
    return [" " * MARGIN + line for line in table(columns, rows, on.room - MARGIN, on.paint)]


# -- words --------------------------------------------------------------------------------


def _row(label: str, text: str, on: Terminal, style: str = "") -> list[str]:
    """A labelled text, wrapped into the right column."""
    lines = []
    for piece in textwrap.wrap(text, on.room - MARGIN - LABEL):
        begin = on.paint(label.ljust(LABEL), "faint")
        lines.append(f"{' ' * MARGIN}{begin}{on.paint(piece, style)}")
        label = ""
    return lines


def _flow(pieces: Iterable[tuple[str, str]], on: Terminal) -> list[str]:
    """Short pieces side by side, as many as fit in a line."""
    room = on.room - MARGIN - LABEL
    lines: list[list[tuple[str, str]]] = [[]]
    for piece in pieces:
        taken = sum(len(text) + 2 for text, _ in lines[-1])
        if lines[-1] and taken + len(piece[0]) > room:
            lines.append([])
        lines[-1].append(piece)
    return [
        " " * (MARGIN + LABEL) + "  ".join(on.paint(text, style) for text, style in line)
        for line in lines
    ]


def span(ms: float) -> str:
    """A duration as people say it."""
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 10_000:
        return f"{ms / 1000:.1f} s"
    if ms < 120_000:
        return f"{ms / 1000:.0f} s"
    return f"{ms / 60_000:.0f} min" if ms < 7_200_000 else f"{ms / 3_600_000:.0f} h"


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
