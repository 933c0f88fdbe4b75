"""Every accepted message stands once and is answered once: invariant I4."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tests.chaos.checker_case import Case, Violation, in_log, short
from tests.chaos.checker_records import OWNERS, Entry, LogTrace, Said, SocketTrace, parsed


def i4_every_accepted_message_stands_once_and_is_answered_once(case: Case) -> Iterator[Violation]:
    """Each id that was accepted is one message, with one place that every ack tells; each message
    is covered by one answer, each answer has one end and nothing behind it, in time. And what a
    client sent and stayed for was accepted.
    """
    for conversation, log in list(case.trace.logs.items()):
        sockets = [s for s in case.trace.sockets.values() if s.conversation == conversation]
        yield from _acks(case, log, sockets)
        yield from _messages(case, log)
        yield from _answers(case, log)
    for mine in case.trace.clients().values():
        yield from _unheard(case, mine)


def _acks(case: Case, log: LogTrace, sockets: list[SocketTrace]) -> Iterator[Violation]:
    """Acks of one id agree; only one is not a duplicate; and the log has the message there."""
    first: dict[tuple[str, str], Said] = {}
    fresh: Counter[tuple[str, str]] = Counter()
    acks = ((socket, said) for socket in sockets for said in socket.frames)
    for socket, said in acks:
        if said.kind != "message.ack":
            continue
        case.seen["I4 acks"] += 1
        id, frame = str(said.frame["id"]), said.frame
        made: dict[str, Any] = {
            "line": said.line, "conversation": log.conversation, "client": socket.client,
            "offset": frame["offset"], "seen": short(said.text),
        }  # fmt: skip
        epochs = [e for e, by in log.epochs.items() if _is_at(by.get(frame["offset"]), id, frame)]
        if not epochs and log.epochs:
            there = log.epochs.get(log.epoch, {}).get(frame["offset"])
            logged = short(there.text) if there else ""
            yield Violation(f"{id} is not where its ack says", **made, logged=logged)
        epoch = epochs[-1] if epochs else ""
        known = first.setdefault((epoch, id), said).frame
        if (known["m"], known["offset"]) != (frame["m"], frame["offset"]):
            yield Violation(f"two acks of {id} name two places", **made)
        fresh[epoch, id] += not frame["duplicate"]
        if fresh[epoch, id] > 1 and not frame["duplicate"]:
            yield Violation(f"{id} was accepted anew a second time", **made)


def _is_at(entry: Entry | None, id: str, ack: Any) -> bool:
    """Whether the log has the message where its ack says."""
    message = entry.frame.get("message", {}) if entry else {}
    return (message.get("id"), message.get("m")) == (id, ack["m"])


def _created(log: LogTrace) -> Iterator[tuple[str, str, Entry]]:
    """Every customer's message in the log: epoch, id, entry."""
    for epoch, entry in log.entries():
        message = entry.frame.get("message", {})
        if entry.kind == "message.created" and message.get("author") == "customer":
            yield epoch, str(message.get("id")), entry


def _messages(case: Case, log: LogTrace) -> Iterator[Violation]:
    """Each id once in an epoch's log, and once among what is stored; nothing accepted is lost."""
    seen: dict[tuple[str, str], Entry] = {}
    for epoch, id, entry in _created(log):
        case.seen["I4"] += 1
        before = seen.setdefault((epoch, id), entry)
        if before is not entry:
            yield in_log(log, entry, f"{id} stands twice", epoch=epoch, other=short(before.text))
    if log.final is None:
        for (epoch, id), entry in seen.items() if case.trace.redis is not None else ():
            yield in_log(log, entry, f"{id} was accepted, and all is gone", epoch=epoch)
        return
    stored: dict[str, list[int]] = defaultdict(list)
    messages = parsed(log.final["messages"])
    for m, message in messages.items():
        if message.get("author") == "customer":
            stored[str(message.get("id"))].append(m)
    made: dict[str, Any] = {"line": log.final_line, "conversation": log.conversation}
    for id, numbers in stored.items():
        if len(numbers) > 1:
            yield Violation(f"{id} is stored as {numbers}", **made)
        m, offset = log.final["ids"].get(id, (numbers[0], None))
        if m not in numbers:
            why = f"{id} is stored as {numbers} and remembered as {m}"
            yield Violation(why, **made, offset=offset)
        answers = [n for n, a in messages.items() if _covers(a, numbers[0])]
        if len(answers) > 1 or (not answers and _is_over(case, log)):
            yield Violation(f"{id} (message {numbers[0]}) has the stored answers {answers}", **made)
    for (epoch, id), entry in seen.items():
        if id not in stored:
            yield in_log(log, entry, f"{id} was accepted and is not stored", epoch=epoch)


def _covers(message: Mapping[str, Any], m: int) -> bool:
    """Whether this is the first answer to message ``m``; a retry's replaces another."""
    is_answer = message.get("author") == "assistant" and "replaces" not in message
    return is_answer and m in message.get("answers", ())


def _is_over(case: Case, log: LogTrace) -> bool:
    """Whether the assistant should have answered everything by now: no person has it."""
    if case.trace.ended is None:
        return False
    return log.final is None or log.final["meta"].get("status") in ("assisted", "resolved")


def _answers(case: Case, log: LogTrace) -> Iterator[Violation]:
    """One covering answer a message, one end an answer, nothing behind it; in the newest epoch,
    none that is missing.
    """
    newest = log.final["meta"].get("epoch", log.epoch) if log.final else log.epoch
    for epoch, entries in log.epochs.items():
        over = epoch == newest and _is_over(case, log)
        covering: dict[int, list[Entry]] = defaultdict(list)
        started: dict[int, Entry] = {}
        ended: dict[int, Entry] = {}
        for entry in (entries[offset] for offset in sorted(entries)):
            m = entry.frame.get("m", 0)
            if m in ended and entry.kind in (*OWNERS, "answer.started"):
                yield in_log(log, entry, f"behind the end of {m}", epoch=epoch, other=ended[m].text)
            if entry.kind == "answer.done":
                ended.setdefault(m, entry)
            if entry.kind == "answer.started" and m not in started:
                started[m] = entry
                for number in () if "replaces" in entry.frame else entry.frame["answers"]:
                    covering[number].append(entry)
        for m, entry in started.items():
            if over and m not in ended:
                yield in_log(log, entry, f"answer {m} has no end", epoch=epoch)
        for its_epoch, id, entry in _created(log):
            if its_epoch == epoch:
                answers = covering.get(entry.frame["message"]["m"], [])
                yield from _covered(case, log, epoch, (id, entry), answers, ended)
                if over and not answers:
                    yield in_log(log, entry, f"{id} is answered by nobody", epoch=epoch)


def _covered(
    case: Case, log: LogTrace, epoch: str, created: tuple[str, Entry],
    answers: list[Entry], ended: Mapping[int, Entry],
) -> Iterator[Violation]:  # fmt: skip
    id, entry = created
    if len(answers) > 1:
        why = f"{id} is answered twice"
        yield in_log(log, answers[1], why, epoch=epoch, other=short(answers[0].text))
    end = ended.get(answers[0].frame["m"]) if answers else None
    if end is not None and end.t - entry.t > case.bounds.answer_s and not end.swept:
        why = f"{id} was answered after {end.t - entry.t:.1f} s"
        yield in_log(log, end, why, epoch=epoch, other=short(entry.text))


def _unheard(case: Case, sockets: list[SocketTrace]) -> Iterator[Violation]:
    """What a client sent, and stayed for, and nobody ever accepted or refused for good."""
    heard: set[str] = set()
    for socket in sockets:
        for said in socket.frames:
            if said.kind == "message.ack":
                heard.add(str(said.frame["id"]))
            elif said.kind == "error" and said.frame.get("fatal"):
                heard.add(str(said.frame.get("ref")))
    for socket in sockets:
        for said in socket.frames:
            id = str(said.frame.get("id"))
            if not said.sent or said.kind != "message.send" or id in heard:
                continue
            if socket.code not in (1009, 4508) and _stayed(case, sockets, said.t):
                heard.add(id)  # told once
                yield Violation(
                    f"{id} was sent and never accepted", said.line, socket.conversation,
                    socket.client, seen=short(said.text),
                )  # fmt: skip


def _stayed(case: Case, sockets: list[SocketTrace], since: float) -> bool:
    """Whether the client was welcome somewhere for long enough after ``since``."""
    for socket in sockets:
        welcomes = [s.t for s in socket.frames if s.kind == "welcome"]
        begun = max(since, welcomes[0]) if welcomes else None
        closed = socket.closed or case.ends()
        if begun is not None and closed - begun > case.bounds.settle_s:
            return True
    return False
