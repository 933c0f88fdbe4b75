"""The wire: what goes out, byte for byte."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import wire
from service.core.model import Attached, OpenTurn, Source
from tests.support.log_rig import Answer, MemoryWorld, answer, ask, begin, decoded, kinds, send

FRAMES = Path(__file__).parents[1] / "frames"
GOLDEN = [json.loads(path.read_text("utf-8")) for path in sorted(FRAMES.glob("*.json"))]
TURN = OpenTurn(
    m=2, fence=1, step=0, attempt=1, revision=3, answers=(1,), replaces=None, cancelled=False
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def attached(**changes: Any) -> Attached:
    fields: dict[str, Any] = {
        "mode": "snapshot", "epoch": "e1", "top": 9, "status": "assisted", "generation": 1,
        "newest": 2, "site": "pk", "turn": None, "text": "", "frames": (), "messages": (),
    }  # fmt: skip
    return Attached(**fields | changes)


# -- what text measures -----------------------------------------------------------------------


@given(texts)
def test_length_is_in_utf_16_units_and_the_checksum_of_utf_8(text):
    assert wire.units(text) == len(text.encode("utf-16-le")) // 2
    assert 0 <= wire.checksum(text) < 2**32


@given(texts, texts)
def test_both_can_be_counted_piece_by_piece(one, other):
    assert wire.units(one + other) == wire.units(one) + wire.units(other)
    assert wire.checksum(one + other) == wire.checksum(other, wire.checksum(one))


def test_the_checksum_is_the_common_one():
    assert wire.checksum("123456789") == 0xCBF43926
    assert wire.checksum("") == 0


# -- frames -----------------------------------------------------------------------------------


@given(texts, st.integers(0, 10**6))
def test_a_delta_carries_its_text_its_place_and_its_revision(text, at):
    frame = json.loads(b'{"o":7,' + wire.delta(TURN, at, text))
    assert frame == {
        "o": 7, "type": "answer.delta", "m": 2, "r": 3, "at": at, "text": text,
    }  # fmt: skip


@given(texts)
def test_no_frame_has_a_line_break_of_its_own(text):
    """Frames stand on lines when workers hint to each other."""
    for frame in (
        wire.delta(TURN, 0, text), wire.customer_message("12345678", text, "en"),
        wire.notice("answer_failed", text, "en"), wire.sources([Source(text, text)]),
    ):  # fmt: skip
        assert b"\n" not in frame


def test_a_message_and_a_notice_are_told_from_behind_number_and_time():
    head = b'{"m":1,"time":2,'
    assert json.loads(head + wire.customer_message("12345678", "Hej", "sv")) == {
        "m": 1, "time": 2, "author": "customer", "id": "12345678", "text": "Hej", "language": "sv",
    }  # fmt: skip
    assert json.loads(head + wire.notice("answer_failed", "Sorry.", "en")) == {
        "m": 1, "time": 2, "author": "notice", "code": "answer_failed", "text": "Sorry.",
        "language": "en",
    }  # fmt: skip


def test_sources_are_titles_and_links_and_nothing_where_there_are_none():
    assert wire.sources([]) == b""
    assert json.loads(wire.sources([Source("T", "https://x.example/")])) == [
        {"title": "T", "link": "https://x.example/"}
    ]


@pytest.mark.parametrize("mode", ["replay", "snapshot", "reset"])
def test_a_welcome_says_where_the_log_ends_and_what_follows(mode):
    frame = wire.welcome(
        "c1", attached(mode=mode, status="waiting"), heartbeat_ms=25_000, limits={"x": 1}
    )
    assert json.loads(frame) == {
        "type": "welcome", "v": 1, "conversation": "c1", "pos": ["e1", 9], "mode": mode,
        "status": "waiting", "heartbeat_ms": 25_000, "limits": {"x": 1},
    }  # fmt: skip


def test_an_empty_snapshot_is_a_snapshot():
    assert json.loads(wire.snapshot(attached(top=0, newest=0))) == {
        "type": "snapshot", "pos": ["e1", 0], "status": "assisted", "messages": [], "more": False,
    }  # fmt: skip


async def test_a_snapshot_has_the_open_answer_in_its_place():
    world = MemoryWorld()
    log = world.log("a")
    await begin(log, "c")
    told = Answer(log, "c", await ask(log, "c", "question-1"))
    await told.append("So far 🙂")
    await send(log, "c", "question-2")
    frame = json.loads(wire.snapshot(await log.attach("c", None)))
    assert [(m["m"], m["author"], m["done"]) for m in frame["messages"]] == [
        (1, "customer", True), (2, "assistant", False), (3, "customer", True),
    ]  # fmt: skip
    assert frame["messages"][1] == {
        "m": 2, "author": "assistant", "text": "So far 🙂", "r": 1, "done": False, "answers": [1],
    }  # fmt: skip
    assert (frame["pos"], frame["more"]) == (["e1", 4], False)


async def test_a_snapshot_says_what_the_open_answer_replaces():
    log = MemoryWorld().log("a")
    await begin(log, "c")
    await Answer(log, "c", await ask(log, "c")).finish("failed")
    await log.retry("c", 0, m=2)
    frame = json.loads(wire.snapshot(await log.attach("c", None)))
    assert frame["messages"][-1]["replaces"] == 2


async def test_more_is_said_exactly_where_older_messages_are():
    log = MemoryWorld().log("a")
    await begin(log, "c")
    for i in range(25):
        await answer(log, "c", f"question-{i}", "x")
    assert json.loads(wire.snapshot(await log.attach("c", None)))["more"] is False
    await answer(log, "c", "question-25", "x")
    frame = json.loads(wire.snapshot(await log.attach("c", None)))
    assert frame["more"] is True
    oldest = frame["messages"][0]["m"]
    older = json.loads(wire.history(await log.messages("c", before=oldest, count=50)))
    assert [m["m"] for m in older["messages"]] == [1, 2]
    assert older["more"] is False
    assert json.loads(wire.history([])) == {"type": "history", "messages": [], "more": False}


async def test_a_rated_message_still_tells_its_number():
    log = MemoryWorld().log("a")
    await begin(log, "c")
    await answer(log, "c", "question-1", "x")
    await log.rate("c", 0, m=2, value=1)
    found = await log.messages("c", before=3, count=1)
    assert json.loads(wire.history(found))["more"] is True


@pytest.mark.parametrize(
    "frame, value",
    [
        (
            wire.ack("12345678", 3, 7, duplicate=True),
            {"type": "message.ack", "id": "12345678", "m": 3, "offset": 7, "duplicate": True},
        ),
        (
            wire.queue_updated(3, 12_000),
            {"type": "queue.updated", "position": 3, "eta_ms": 12_000, "reason": "model"},
        ),
        (wire.answer_status(2, "thinking"), {"type": "answer.status", "m": 2, "state": "thinking"}),
        (wire.heartbeat(5), {"type": "heartbeat", "n": 5}),
        (wire.pong(5), {"type": "pong", "n": 5}),
        (wire.goaway(500, "deploy"), {"type": "goaway", "after_ms": 500, "reason": "deploy"}),
        (
            wire.error("bad_id", "Nein.", fatal=True),
            {"type": "error", "code": "bad_id", "message": "Nein.", "fatal": True},
        ),
        (
            wire.error("rate_limited", "Warte.", fatal=False, retry_ms=0, ref="12345678"),
            {
                "type": "error", "code": "rate_limited", "message": "Warte.", "fatal": False,
                "retry_ms": 0, "ref": "12345678",
            },
        ),
    ],
)  # fmt: skip
def test_a_frame_that_is_not_logged_is_what_the_table_says(frame, value):
    assert json.loads(frame) == value


def test_one_frame_goes_alone_and_more_go_as_an_array():
    one, other = wire.heartbeat(1), wire.pong(2)
    assert wire.together([one]) == one
    assert json.loads(wire.together([one, other])) == [json.loads(one), json.loads(other)]


# -- the golden frames, which the widget's tests read too ----------------------------------------


def golden(kind: str) -> list[dict[str, Any]]:
    """Every frame of ``kind`` that the golden files have a server send."""
    steps = [step for file in GOLDEN for step in file.get("steps", [])]
    return [step["frame"] for step in steps if step.get("frame", {}).get("type") == kind]


def shape(value: Any) -> Any:
    """A frame's fields and their types."""
    match value:
        case dict():
            return {name: shape(inner) for name, inner in value.items()}
        case list():
            return [shape(value[0])] if value else []
    return type(value).__name__


async def test_what_the_server_logs_has_the_fields_and_types_of_the_golden_frames():
    ours = await _one_of_each()
    assert {frame["type"] for frame in ours} == {
        "message.created", "answer.started", "answer.delta", "answer.rewound", "answer.done",
        "answer.rated", "conversation.updated",
    }  # fmt: skip
    for frame in ours:
        examples = golden(frame["type"])
        assert examples, f"no golden file has {frame['type']}"
        for name, value in frame.items():
            if name == "message":
                named = set().union(*(example["message"] for example in examples))
                assert set(value) <= named, frame
            else:
                assert shape(value) in [shape(e.get(name)) for e in examples], (frame, name)


async def _one_of_each() -> list[dict[str, Any]]:
    world = MemoryWorld()
    log = world.log("a")
    await begin(log, "c")
    told = Answer(log, "c", await ask(log, "c", "question-1"))
    await told.append("One two")
    await told.rewind(3)
    await told.finish("failed", notice=wire.notice("answer_failed", "Sorry.", "en"))
    await log.retry("c", 0, m=2)
    await log.rate("c", 0, m=2, value=1)
    await log.resolve("c", 0)
    entries = await world.entries("c")
    assert len(kinds(entries)) == 9
    return decoded(entries)


@pytest.mark.parametrize(
    "kind, frame",
    [
        ("welcome", wire.welcome("c1", attached(), heartbeat_ms=1, limits={"message_units": 1})),
        ("queue.updated", wire.queue_updated(1, 2)),
        ("answer.status", wire.answer_status(2, "thinking")),
        ("heartbeat", wire.heartbeat(1)),
    ],
)
def test_what_it_says_in_passing_has_the_fields_and_types_of_the_golden_frames(kind, frame):
    assert shape(json.loads(frame)) in [shape(example) for example in golden(kind)]
