"""The checker catches what is broken, and nothing else: hand-made traces, good and spoilt."""

import copy
import json
from pathlib import Path

import pytest

from tests.chaos.checker import INVARIANTS, Bounds, check, main
from tests.chaos.checker_client import View
from tests.chaos.checker_story import Records, Story, change, find, frame, lose, report, swap
from tests.chaos.checker_trace import BrokenTrace, Trace

GOLDEN = sorted((Path(__file__).parents[1] / "frames").glob("*.json"))
FOLDS = [golden for golden in (json.loads(p.read_text("utf-8")) for p in GOLDEN) if
         golden["kind"] == "fold"]  # fmt: skip


# -- the client rules ---------------------------------------------------------------------------


@pytest.mark.parametrize("golden", FOLDS, ids=[golden["title"] for golden in FOLDS])
def test_the_checkers_client_is_the_widgets(golden):
    view = View()
    for step in golden["steps"]:
        need = view.apply(step["frame"])
        expected = step["expect"]
        assert need == (expected.get("need") or ""), step
        if "awaiting" in expected:
            assert view.awaiting == expected["awaiting"], step
        if expected.get("pos") and need != "anew":
            assert list(view.pos) == expected["pos"], step
        if "messages" in expected:
            shown = [(m.m, m.text, m.r, m.done) for _, m in sorted(view.messages.items())]
            assert shown == [
                (m["m"], m["text"], m["r"], m["done"]) for m in expected["messages"]
            ], step  # fmt: skip


# -- good traces --------------------------------------------------------------------------------


def course() -> Records:
    """Two tabs, a resume, an adoption, a rewind, a withdrawal, a retry, a reset, and a tool."""
    s = Story()
    s.tell("run", about={"seed": 1})
    s.tell("server", run_id="r1", why="connected")
    s.tell("worker", worker="a", when="before", counts={"files": 20})
    s.client("anna")
    s.client("tab")
    one = s.open("anna")
    s.join(one)
    s.sends(one, "id-00001", "Norway?")
    s.show(s.accept("a", "id-00001", "Norway?"), one)
    s.ack(one, "id-00001")
    s.show(s.delta("Yes, in "), one)
    two = s.open("tab")
    s.join(two)
    s.tell("fault", what="SIGKILL", whom="a")
    s.show(s.adopt("b"), one, two)
    s.close(one)
    s.delta("thre🙂 ")
    s.show([5], two)
    s.show(s.rewind(8), two)
    one = s.open("anna")
    s.resume(one, 4)
    s.sends(one, "id-00001", "Norway?")
    s.ack(one, "id-00001", duplicate=True)
    s.sends(two, "id-00002", "And Spain?")
    s.show(s.accept("c", "id-00002", "And Spain?"), one, two)
    s.ack(two, "id-00002")
    s.show(s.delta("3 days."), one, two)
    s.show(s.finish(then=[3]), one, two)
    s.show(s.write("c", {"type": "answer.rated", "m": 2, "value": 1}), one, two)
    s.show(s.delta("Nothing bad"), two)
    s.finish("withdrawn")
    s.welcome(one, "snapshot", s.snapshot())  # who was behind a withdrawal
    s.show([13], two)
    s.show(s.accept("c", "id-00003", "Hello?"), one, two)
    s.ask(one, frame(type="message.send", id="id-00003", text="Hello?"))
    s.ack(one, "id-00003")
    s.show([13, 14], two)  # told twice, harmless
    s.show(s.finish("failed"), one, two)
    s.show(s.retry("c", 6), one, two)
    s.show(s.delta("Hi!"), one, two)
    s.show(s.finish(), one, two)
    s.tell("tool", conversation="c1", key="t1", repeatable=False)
    s.tell("server", run_id="r2", why="connected")
    s.epoch, s.top, s.log = "e2", 40, {}
    s.reset(one)
    s.reset(two)
    s.sends(one, "id-00004", "Still there?")
    s.show(s.accept("b", "id-00004", "Still there?"), one, two)
    s.ack(one, "id-00004")
    s.show(s.delta("Yes."), one, two)
    s.show(s.finish(), one, two)
    three = s.open("anna")
    s.reset(three, asked=("e1", 18))
    s.close(three, 1000)
    s.tell("worker", worker="a", when="after", counts={"files": 21})
    return s.end()


@pytest.fixture
def good() -> Records:
    return course()


def test_a_good_trace_is_accepted_and_gives_evidence_for_every_invariant(good):
    found = report(good)
    assert not found.violations, found.text()
    assert not found.unproven


def test_a_trace_that_ends_in_the_middle_promises_nothing_more(good):
    for length in range(len(good)):
        found = report(good[:length])
        assert not found.violations, (length, found.text())


def test_an_empty_trace_proves_nothing():
    found = report([])
    assert not found.violations
    assert found.unproven == set(INVARIANTS)


def test_clients_of_two_conversations_are_kept_apart(good):
    one = Story("c7")
    other = Story("c8", records=one.records)
    for story, name in ((one, "anna"), (other, "bert")):
        story.client(name)
        socket = story.open(name)
        story.join(socket)
        story.sends(socket, f"id-of-{name}", "Norway?")
        story.show(story.accept("a", f"id-of-{name}", "Norway?"), socket)
        story.ack(socket, f"id-of-{name}")
        story.show(story.delta(f"For {name}."), socket)
        story.show(story.finish(), socket)
    records = one.end(other)
    assert not report(records).violations
    spoilt = copy.deepcopy(records)
    spoilt.append(find(spoilt, "got", "For bert.") | {"socket": 1})
    assert "I10" in report(spoilt).broken, "a frame of the other one"


# -- spoilt traces ------------------------------------------------------------------------------


def later(k: str, *words: str, by: float, **fields):
    def spoil(records: Records) -> None:
        find(records, k, *words, **fields)["t"] += by

    return spoil


def more(*added: dict, before: str = "redis"):
    """Spoil by records that should not be; before the first one of kind ``before``."""

    def spoil(records: Records) -> None:
        at = next(i for i, record in enumerate(records) if record["k"] == before)
        for one in reversed(added):
            records.insert(at, {"t": records[at]["t"]} | one)

    return spoil


def said(o: int, *, before: str = "redis", session: str = "c", epoch: str = "e2", **body):
    """One more entry in the log."""
    entry = {"k": "entry", "conversation": "c1", "o": o, "text": frame(o=o, **body)}
    words = {"k": "said", "conversation": "c1", "session": session, "epoch": epoch, "first": o,
             "count": 1}  # fmt: skip
    return more(entry, words, before=before)


def stored(m: int, **changes):
    def spoil(records: Records) -> None:
        messages = find(records, "state", final=True)["messages"]
        messages[str(m)] = json.dumps(json.loads(messages[str(m)]) | changes)

    return spoil


def both(*spoils):
    def spoil(records: Records) -> None:
        for one in spoils:
            one(records)

    return spoil


def everywhere(old: str, new: str):
    """The log itself has other bytes, and so has everybody."""

    def spoil(records: Records) -> None:
        for record in records:
            if old in str(record.get("text", "")):
                record["text"] = record["text"].replace(old, new)
            if record["k"] == "state":
                record["log"] = [[o, text.replace(old, new)] for o, text in record["log"]]

    return spoil


DELTA = '"text":"3 days."'
LAST = '"o":42,"type":"answer.started"'
BROKEN = [
    # what, how, and every invariant that it breaks
    ("a frame is left out", lose("got", DELTA, socket=3), {"I1"}),
    ("a hello is beyond what came", swap('["e1",4]', '["e1",6]', "sent", '["e1",4]'),
     {"I1"}),
    ("a client got another text", swap("3 days.", "4 days.", "got", DELTA, socket=3),
     {"I2", "I5"}),
    ("the owner lost a delta", everywhere("Yes, in ", "Yes, i"), {"I2"}),
    ("the stored text is another", stored(2, text="Yes, in 4 days."), {"I2"}),
    ("a message was stored, and is gone from the log",
     more({"k": "got", "client": "", "socket": 3, "text": frame(
         type="snapshot", pos=["e2", 44], status="assisted", messages=[], more=False)}),
     {"I2", "I8"}),
    ("the fence goes back", more(
        {"k": "meta", "conversation": "c1", "fields": {"fence": "1", "step": "9"}}), {"I3"}),
    ("the step goes back", more(
        {"k": "meta", "conversation": "c1", "fields": {"fence": "4", "step": "1"}}), {"I3"}),
    ("an adoption counts no attempt", everywhere('"attempt":2', '"attempt":1'), {"I3"}),
    ("the old owner wrote between", both(
        change("meta", with_={"fields": {"fence": "9", "owner": "x"}}),), {"I3"}),
    ("an id stands twice", everywhere("id-00002", "id-00001"), {"I2", "I4"}),
    ("an ack names another place", swap('"m":3', '"m":1', "got", "message.ack", "id-00002"),
     {"I4"}),
    ("an id is accepted twice", swap("true", "false", "got", "message.ack", "true"), {"I4"}),
    ("an ack came for what was lost", swap('"offset":41', '"offset":99', "got", '"offset":41'),
     {"I4"}),
    ("an answer covers what was answered", everywhere('"answers":[3]', '"answers":[1,3]'),
     {"I2", "I4"}),
    ("an answer covers nothing", everywhere('"m":9,"attempt":1,"r":1,"answers":[8]',
                                            '"m":9,"attempt":1,"r":1,"answers":[]'),
     {"I2", "I4", "I8"}),
    ("an answer has no end", said(
        45, type="answer.started", m=10, attempt=1, r=1, answers=[]), {"I4"}),
    ("something is behind an answer's end", said(
        45, type="answer.delta", m=9, r=1, at=4, text=" Or no.", session="b"), {"I4"}),
    ("an answer took too long", later("entry", '"o":44', by=61.0), {"I4", "I5"}),
    ("an accepted message is not stored", lambda records: find(
        records, "state", final=True)["messages"].pop("8"), {"I2", "I4"}),
    (
        "a conversation is gone",
        lambda records: records.remove(find(records, "state", final=True)),
        {"I4"},
    ),
    ("a stored answer answers twice", stored(6, answers=[8]), {"I2", "I4"}),
    ("a message is stored under two numbers", lambda records: find(
        records, "state", final=True)["messages"].update({"10": json.dumps(
            {"m": 10, "author": "customer", "id": "id-00004", "text": "Still there?"})}),
     {"I4"}),
    ("a message was sent and never accepted", more(
        {"k": "sent", "client": "", "socket": 3, "text": frame(
            type="message.send", id="id-00005", text="Hello?")}, before="tool"), {"I4"}),
    ("a frame was shown and never logged", more(
        {"k": "got", "client": "", "socket": 3, "text": frame(
            o=45, type="answer.rated", m=10, value=1)}), {"I5"}),
    ("a frame was shown before it was logged", later("entry", '"o":43', by=1.0), {"I5"}),
    ("the bytes of an offset changed", said(44, type="answer.rated", m=10, value=1), {"I5"}),
    ("a fence has two owners", more(
        {"k": "meta", "conversation": "c1", "fields": {"fence": "5", "owner": "b"}},
        {"k": "meta", "conversation": "c1", "fields": {"fence": "5", "owner": "a"}}), {"I6"}),
    ("somebody else writes an answer", change(
        "said", with_={"session": "a"}, epoch="e2", first=43), {"I6"}),
    ("a tool is executed twice", more(
        {"k": "tool", "conversation": "c1", "key": "t1", "repeatable": False}), {"I7"}),
    ("a hello gets no welcome", more(
        {"k": "sent", "client": "", "socket": 2, "text": frame(type="hello")}, before="tool"),
     {"I8"}),
    ("a replay where a reset was due", swap('"mode":"reset"', '"mode":"replay"', "got",
                                            '"mode":"reset"', socket=4), {"I8"}),
    ("a reset where a replay was due", swap('"mode":"replay"', '"mode":"reset"', "got",
                                            '"mode":"replay"'), {"I8"}),
    ("a snapshot with another text", swap("Yes, in ", "Yes: ", "got", "Yes, in ", socket=2),
     {"I2", "I8"}),
    ("a snapshot with another status", swap('"status":"assisted","messages"',
                                            '"status":"waiting","messages"', "got", "snapshot",
                                            socket=2), {"I8"}),
    ("a logged frame before the snapshot", lambda records: find(
        records, "got", '"mode":"snapshot"', socket=2).update(text=find(
            records, "got", '"mode":"snapshot"', socket=2)["text"].replace(
                '{"type":"snapshot"', '{"type":"other"')), {"I8"}),
    ("what is no JSON", more({"k": "got", "client": "", "socket": 3, "text": '[{"type":'}),
     {"I8"}),
    ("a lease is left", change("redis", with_={"leases": {"c1": 5.0}}), {"I9"}),
    ("a turn is left open", lambda records: find(
        records, "state", final=True)["meta"].update(turn="10"), {"I9"}),
    ("a message waits for ever", lambda records: find(
        records, "state", final=True)["meta"].update(queued="9"), {"I9"}),
    ("the text of an open answer is left", change("state", with_={"open_text": "x"}), {"I9"}),
    ("a key lives for ever", change("redis", with_={"endless": ["parley:x"]}), {"I9"}),
    ("somebody follows what nobody reads", change(
        "redis", with_={"channels": {"c2": 1}}), {"I9"}),
    ("a worker keeps files open", change("worker", with_={"counts": {"files": 30}}, when="after"),
     {"I9"}),
    ("a welcome to another conversation", swap('"conversation":"c1"', '"conversation":"c2"',
                                               "got", "welcome", socket=3), {"I10"}),
    ("a token of another conversation", lambda records: find(records, "redis").update(
        tokens={t: "c2" for t in find(records, "redis")["tokens"]}), {"I10"}),
]  # fmt: skip


@pytest.mark.parametrize("spoil, broken", [b[1:] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_what_is_broken_is_caught_and_named(good, spoil, broken):
    spoil(good)
    found = report(good)
    assert found.broken == broken, found.text(most=None)
    assert all(v.line or v.offset for v in found.violations), "evidence"


def test_every_invariant_is_broken_by_some_trace():
    assert set(INVARIANTS) == set().union(*(broken for *_, broken in BROKEN))


def test_a_violation_names_the_client_the_place_and_both_bytes(good):
    swap("3 days.", "4 days.", "got", DELTA, socket=3)(good)
    violation = next(v for v in report(good).violations if v.invariant == "I5")
    assert (violation.client, violation.conversation, violation.epoch, violation.offset) == (
        "anna", "c1", "e1", 8,
    )  # fmt: skip
    assert "4 days." in violation.seen and "3 days." in violation.logged
    assert good[violation.line - 1]["k"] == "got"
    assert "4 days." in str(violation) and "offset e1/8" in str(violation)


# -- reading ------------------------------------------------------------------------------------


def test_a_line_that_is_no_record_is_named(good):
    lines = [json.dumps(record) for record in good]
    for wrong in ("nonsense", "{}", '{"k": "weather", "t": 1}', '{"k": "got", "t": 1}'):
        with pytest.raises(BrokenTrace, match="line 4 is no record"):
            Trace([*lines[:3], wrong])


def test_the_command_prints_every_invariant_and_tells_by_its_code(good, tmp_path, capsys):
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in good))
    assert main([str(path)]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{name}" in printed for name in INVARIANTS)
    lose("got", DELTA, socket=3)(good)
    path.write_text("".join(json.dumps(record) + "\n" for record in good))
    assert main([str(path), "--all"]) == 1
    assert "a hole: 9 came after 7" in capsys.readouterr().out


def test_how_long_an_answer_may_take_is_a_parameter(good):
    trace = [json.dumps(record) for record in good]
    assert check(Trace(trace), Bounds(answer_s=0.05)).broken == {"I4"}
