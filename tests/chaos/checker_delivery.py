"""What reached the clients: invariants I1, I2, I5, I8 and I10."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from tests.chaos.checker_case import (
    Case,
    Run,
    Step,
    Violation,
    Walk,
    apart,
    differences,
    position,
    right,
    short,
)
from tests.chaos.checker_client import View
from tests.chaos.checker_log import Fold
from tests.chaos.checker_records import LogTrace, Said, parsed


def _at(walk: Walk, said: Said, why: str, **more: object) -> Violation:
    socket = walk.socket
    made = {"conversation": socket.conversation, "client": socket.client, "line": said.line}
    return Violation(why, **(made | {"seen": short(said.text)} | more))  # type: ignore[arg-type]


def i1_offsets_are_applied_once_and_without_a_hole(case: Case) -> Iterator[Violation]:
    """What a socket gets after a welcome are consecutive offsets, from its own place on; and no
    client says hello at a place beyond what it got.
    """
    for walk in case.walks:
        for step in walk.steps:
            offset = step.said.frame.get("o")
            if offset is None or step.before is None:
                continue
            case.seen["I1"] += 1
            epoch, before = step.before
            if offset > before + 1:
                why = f"a hole: {offset} came after {before}"
                yield _at(walk, step.said, why, epoch=epoch, offset=offset)
    for run in case.runs:
        for said, place in run.ahead:
            yield Violation(
                f"said hello beyond its place, which was {place}", said.line,
                run.conversation, run.client, seen=short(said.text),
            )  # fmt: skip


def i2_everybody_reads_the_same_text(case: Case) -> Iterator[Violation]:
    """A client's text, the log's, and the stored message are one and the same, wherever they are
    compared: at every snapshot, at every end (length and CRC-32), and when all is over.
    """
    for run in case.runs:
        for said, why in run.wrong:
            yield Violation(
                f"a client could not trust its text: {why}", said.line,
                run.conversation, run.client, offset=said.frame.get("o"), seen=short(said.text),
            )  # fmt: skip
        yield from _looks(case, run)
    for conversation, by_epoch in case.folds.items():
        for epoch, folded in by_epoch.items():
            for entry, why in folded.wrong:
                yield Violation(
                    f"the log does not fit itself: {why}", entry.line,
                    conversation, "", epoch, entry.o, logged=short(entry.text),
                )  # fmt: skip
        yield from _stored(case, case.trace.logs[conversation], by_epoch)


def _looks(case: Case, run: Run) -> Iterator[Violation]:
    for look in run.looks:
        told = case.told(run.conversation, look.place)
        if told is None:
            continue
        case.seen["I2"] += 1
        for _, why, seen, logged in differences(look.messages, told):
            yield Violation(
                why, look.line, run.conversation, run.client, *look.place, seen=seen, logged=logged
            )


def _stored(case: Case, log: LogTrace, by_epoch: dict[str, Fold]) -> Iterator[Violation]:
    """The stored messages and the open text against the log, the newest epoch's above all."""
    if log.final is None:
        return
    epoch = log.final["meta"].get("epoch", "")
    view = View()
    view.apply({"type": "history", "messages": list(parsed(log.final["messages"]).values())})
    for name, folded in by_epoch.items():
        told, stored = folded.at[folded.newest], dict(view.messages)
        if name == epoch:
            for m, shown in told.messages.items():
                if not shown.done:
                    stored[m] = replace(shown, text=log.final["open_text"] or "")
        else:  # what was lost with it, or went on after it, may be another message now
            later = set().union(*(by_epoch[e].at[by_epoch[e].newest].messages for e in by_epoch
                                  if e != name))  # fmt: skip
            kept = frozenset(m for m in told.sure - later if told.messages[m].done and m in stored)
            told = replace(told, sure=kept, whole=False)
        case.seen["I2 stored"] += len(told.sure)
        for _, why, seen, logged in differences(stored, told, floor=1):
            yield Violation(
                f"as stored, {why}", log.final_line, log.conversation, "", name, folded.newest,
                seen=seen, logged=logged,
            )  # fmt: skip


def i5_nothing_is_shown_that_is_not_logged(case: Case) -> Iterator[Violation]:
    """Every logged frame that a client got is in the log, byte for byte, and was there before; and
    the bytes of an offset never change.
    """
    for log in case.trace.logs.values():
        for epoch, before, after in log.changed:
            yield Violation(
                "the bytes of an offset changed", after.line, log.conversation, "", epoch, after.o,
                *apart(after.text, before.text),
            )  # fmt: skip
    shown: dict[tuple[str, str, int], str] = {}
    for walk in case.walks:
        for step in walk.steps:
            if step.before is not None and "o" in step.said.frame:
                yield from _shown(case, walk, step, shown)


def _shown(
    case: Case, walk: Walk, step: Step, shown: dict[tuple[str, str, int], str]
) -> Iterator[Violation]:
    said, offset = step.said, int(step.said.frame["o"])
    assert step.before is not None
    epoch, conversation = step.before[0], walk.socket.conversation
    entries = case.trace.log(conversation).epochs.get(epoch, {})
    entry = entries.get(offset)
    case.seen["I5"] += 1
    if entry is None and offset < max(entries, default=0):
        case.seen["I5 of a part of the log that nobody recorded"] += 1
        first = shown.setdefault((conversation, epoch, offset), said.text)
        if first != said.text:
            yield _at(
                walk, said, "two clients got different bytes", epoch=epoch, offset=offset,
                logged=short(first),
            )  # fmt: skip
    elif entry is None:
        yield _at(walk, said, "shown, and not in the log", epoch=epoch, offset=offset)
    elif entry.text != said.text:
        seen, logged = apart(said.text, entry.text)
        yield _at(
            walk, said, "shown otherwise than logged", epoch=epoch, offset=offset,
            seen=seen, logged=logged,
        )  # fmt: skip
    elif not entry.swept and said.t + case.bounds.clock_s < entry.t:
        early = entry.t - said.t
        yield _at(walk, said, f"shown {early:.3f} s before it was logged", offset=offset)


def i8_a_resume_is_one_of_three_and_right(case: Case) -> Iterator[Violation]:
    """Every hello gets one welcome (or a refusal: an error, or the socket's end with a code), with
    the mode that its place calls for: a replay of exactly what is missing, or a snapshot (after a
    reset, too) of what the log told at its place.
    """
    for walk in case.walks:
        for said in walk.hellos:
            closed = walk.socket.closed or case.ends()
            if closed - said.t > case.bounds.settle_s and not _refused(walk, said):
                yield _at(walk, said, "a hello without a welcome")
        early = False  # told already that something came too early
        for number, step in enumerate(walk.steps):
            if step.said.kind == "welcome":
                case.seen["I8"] += 1
                early = False
                yield from _welcome(case, walk, number)
            elif "o" in step.said.frame and (step.before is None or step.awaiting) and not early:
                early = True
                awaited = "its snapshot" if step.awaiting else "any welcome"
                yield _at(walk, step.said, f"a logged frame before {awaited}")
            elif step.said.kind in ("(not JSON)", "(no object)"):
                yield _at(walk, step.said, "a message that is no frame")
    yield from _snapshots(case)


def _refused(walk: Walk, hello: Said) -> bool:
    """Whether the server said in words, or by its close code, that it cannot serve."""
    said = any(
        s.kind == "error" and s.line > hello.line and "ref" not in s.frame
        for s in walk.socket.frames
    )
    return said or 4000 <= (walk.socket.code or 0) < 5000


def _welcome(case: Case, walk: Walk, number: int) -> Iterator[Violation]:
    step = walk.steps[number]
    end, mode = position(step.said.frame.get("pos")), str(step.said.frame.get("mode"))
    if end is None or mode not in ("replay", "snapshot", "reset"):
        yield _at(walk, step.said, "a welcome without a place or a mode")
        return
    lost = step.asked is None and step.place is None  # what is missing was told before
    if not lost and not right(mode, step.place, end):
        yield _at(walk, step.said, f"{mode} for one who was at {step.place}")
        return
    closed = walk.socket.closed or case.ends()
    if closed - step.said.t <= case.bounds.settle_s:
        return  # it had no time for what follows
    due = list(_until_next(walk, number))
    if mode != "replay":
        if not any(s.said.kind == "snapshot" for s in due):
            yield _at(walk, step.said, "no snapshot after its welcome")
    elif step.place is not None:
        newest = max((int(s.said.frame.get("o", 0)) for s in due), default=0)
        if max(newest, step.place[1]) < end[1]:
            why = f"a replay to {end[1]} that ended at {newest or step.place[1]}"
            yield _at(walk, step.said, why, epoch=end[0], offset=end[1])


def _until_next(walk: Walk, number: int) -> Iterator[Step]:
    for step in walk.steps[number + 1 :]:
        if step.said.kind == "welcome":
            return
        yield step


def _snapshots(case: Case) -> Iterator[Violation]:
    for said, walk, place in case.snapshots():
        told = case.told(walk.socket.conversation, place)
        view = View()
        if view.apply(said.frame):
            yield _at(walk, said, f"a snapshot that is none: {view.why}")
        elif told is not None:
            case.seen["I8 snapshots"] += 1
            floor = min(view.messages, default=1) if said.frame.get("more") else 1
            for _, why, seen, logged in differences(view.messages, told, floor=floor):
                yield _at(
                    walk, said, f"in a snapshot, {why}", epoch=place[0], offset=place[1],
                    seen=seen, logged=logged,
                )  # fmt: skip
            if view.status != told.status and told.whole:
                yield _at(walk, said, f"in a snapshot, the status is not {told.status}")


def i10_no_frame_of_one_conversation_on_a_socket_of_another(case: Case) -> Iterator[Violation]:
    """Welcomes, tokens, message ids and logged bytes all belong to the socket's conversation."""
    trace = case.trace
    tokens = dict(trace.redis["tokens"]) if trace.redis else {}
    owners: dict[str, set[str]] = {}
    for walk in case.walks:
        for said in walk.socket.frames:
            if said.sent and said.kind == "message.send":
                owners.setdefault(str(said.frame.get("id")), set()).add(walk.socket.conversation)
    for walk in case.walks:
        for said in walk.socket.frames:
            if said.sent and said.kind == "hello":
                digest = hashlib.sha256(str(said.frame.get("token")).encode()).hexdigest()
                if tokens.get(digest, walk.socket.conversation) != walk.socket.conversation:
                    yield _at(walk, said, f"its token is {tokens[digest]}'s")
            elif not said.sent:
                case.seen["I10"] += 1
                yield from _belongs(case, walk, said, owners)


def _belongs(
    case: Case, walk: Walk, said: Said, owners: dict[str, set[str]]
) -> Iterator[Violation]:
    own = walk.socket.conversation
    if said.kind == "welcome" and said.frame.get("conversation") != own:
        yield _at(walk, said, f"a welcome to {said.frame.get('conversation')}")
    for id in _ids(said):
        if own not in owners.get(id, {own}):
            yield _at(walk, said, f"message {id} is {', '.join(owners[id])}'s")
    offset = said.frame.get("o")
    if offset is not None and not _logged(case.trace.log(own), offset, said.text):
        for log in case.trace.logs.values():
            if log.conversation != own and _logged(log, offset, said.text):
                yield _at(walk, said, f"a frame of {log.conversation}", offset=offset)


def _ids(said: Said) -> Iterator[str]:
    frame = said.frame
    found = [frame] if said.kind == "message.ack" else []
    if said.kind == "message.created":
        found = [frame.get("message", {})]
    elif said.kind in ("snapshot", "history"):
        found = frame.get("messages", [])
    yield from (message["id"] for message in found if message.get("id"))


def _logged(log: LogTrace, offset: int, text: str) -> bool:
    return any(
        offset in by_offset and by_offset[offset].text == text for by_offset in log.epochs.values()
    )
