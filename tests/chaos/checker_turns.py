"""What happened to turns, and what was left: invariants I3, I6, I7 and I9."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from tests.chaos.checker_case import Case, Violation, in_log, short
from tests.chaos.checker_records import OWNERS, Entry, LogTrace


def i3_the_fence_never_goes_back(case: Case) -> Iterator[Violation]:
    """Along the log the fence only grows, and no two fences interleave; under one fence the steps
    only grow; and each adoption counts one attempt more, at the revision that was reached.
    """
    for log in case.trace.logs.values():
        for one, other in pairwise(log.samples):
            case.seen["I3"] += 1
            if (one.epoch, one.life) != (other.epoch, other.life):
                continue  # the server may have lost something in between
            was, now = [(s.number("fence"), s.number("step")) for s in (one, other)]
            if now < was:
                yield Violation(
                    "fence and step went back", other.line, log.conversation, "", other.epoch,
                    other.number("top"), f"fence {now[0]}, step {now[1]}",
                    f"fence {was[0]}, step {was[1]}",
                )  # fmt: skip
        highest: dict[str, Entry] = {}
        attempts: dict[tuple[str, int], Entry] = {}
        for epoch, entry in log.entries():
            if entry.kind == "answer.started":
                yield from _attempts(log, epoch, entry, attempts)
            if entry.fence and (entry.kind in OWNERS or entry.kind == "answer.started"):
                before = highest.get(epoch)
                if before is not None and entry.fence < before.fence:
                    why = f"fence {entry.fence} behind fence {before.fence}"
                    yield in_log(log, entry, why, epoch=epoch, other=short(before.text))
                else:
                    highest[epoch] = entry


def _attempts(
    log: LogTrace, epoch: str, entry: Entry, attempts: dict[tuple[str, int], Entry]
) -> Iterator[Violation]:
    m, attempt = entry.frame.get("m", 0), entry.frame.get("attempt", 0)
    before = attempts.get((epoch, m))
    attempts[epoch, m] = entry
    if before is None:
        return  # the first, or the first of an epoch that goes on with it
    if attempt <= before.frame["attempt"] or entry.frame.get("r", 0) < before.frame["r"]:
        why = f"attempt {attempt} behind attempt {before.frame['attempt']}"
        yield in_log(log, entry, why, epoch=epoch, other=short(before.text))


def i6_one_owner_writes_under_a_fence(case: Case) -> Iterator[Violation]:
    """A fence has one owner for ever; and between two beginnings of an answer only he who logged
    the first of them writes it.
    """
    for log in case.trace.logs.values():
        owners: dict[tuple[int, str, int], str] = {}
        for sample in log.samples:
            owner, fence = sample.fields.get("owner", ""), sample.number("fence")
            if not owner or not fence:
                continue
            known = owners.setdefault((sample.life, sample.epoch, fence), owner)
            if known != owner:
                yield Violation(
                    f"fence {fence} has two owners", sample.line, log.conversation, "",
                    sample.epoch, sample.number("top"), owner, known,
                )  # fmt: skip
        reign: dict[str, Entry] = {}
        for epoch, entry in log.entries():
            if entry.kind == "answer.started":
                reign[epoch] = entry
            begun = reign.get(epoch)
            if entry.kind in OWNERS and begun and begun.session and entry.session:
                case.seen["I6"] += 1
                if entry.session != begun.session:
                    why = f"{entry.session} wrote in the turn of {begun.session}"
                    yield in_log(log, entry, why, epoch=epoch, other=short(begun.text))


def i7_every_tool_is_executed_once(case: Case) -> Iterator[Violation]:
    """A tool's key is executed once, unless the tool may be repeated."""
    first: dict[tuple[str, str], int] = {}
    for line, tool in case.trace.tools:
        case.seen["I7"] += 1
        place = tool["conversation"], tool["key"]
        if place in first and not tool["repeatable"]:
            yield Violation(
                f"{tool['key']} was executed again, first in line {first[place]}", line, place[0]
            )
        first.setdefault(place, line)


def i9_nothing_is_left_behind(case: Case) -> Iterator[Violation]:
    """When all is over: no lease, no open turn and no text of one, nothing queued, no key for ever,
    no channel without a socket, and the workers as they were.
    """
    for log in case.trace.logs.values():
        if log.final is not None:
            case.seen["I9"] += 1
            yield from _left(log, log.final)
    redis = case.trace.redis
    if redis is not None:
        case.seen["I9"] += 1
        line = case.trace.redis_line
        for conversation in redis["leases"]:
            yield Violation("a lease is left", line, conversation)
        for key in redis["endless"]:
            yield Violation(f"{key} lives for ever", line)
        present = {s.conversation for s in case.trace.sockets.values() if s.closed is None}
        for conversation, followers in redis["channels"].items():
            if followers and conversation not in present:
                yield Violation(f"{followers} workers follow it still", line, conversation)
    yield from _workers(case)


def _left(log: LogTrace, final: Any) -> Iterator[Violation]:
    meta = final["meta"]
    left = {
        f"answer {meta.get('turn')} is open": meta.get("turn"),
        f"{meta.get('queued')} wait for an answer": meta.get("queued"),
        f"the lease until {final['lease']} is left": final["lease"] is not None,
        "the text of an open answer is left": final["open_text"] is not None,
        **{f"{key} lives for ever": True for key in final["endless"]},
    }
    for why, is_left in left.items():
        if is_left:
            yield Violation(why, log.final_line, log.conversation)


def _workers(case: Case) -> Iterator[Violation]:
    before: dict[str, dict[str, int]] = {}
    for line, record in case.trace.workers:
        if record["when"] == "before":
            before[record["worker"]] = record["counts"]
        for what, count in record["counts"].items():
            was = before.get(record["worker"], {}).get(what)
            if record["when"] == "after" and was is not None:
                case.seen["I9 workers"] += 1
                if count > was + case.bounds.growth:
                    yield Violation(f"{record['worker']} has {count} {what}, and had {was}", line)
