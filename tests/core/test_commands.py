"""Commands: what a client may send, and the typed refusal of everything else."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import commands
from service.core.errors import (
    BadCommand,
    BadFrame,
    BadId,
    CommandRefused,
    TextEmpty,
    TextTooLong,
    UnknownCommand,
)
from service.core.model import Position

FRAME_BYTES = 16 * 1024


def parse(text: str) -> list[dict]:
    return commands.parse(text, most_bytes=FRAME_BYTES)


def read(**frame: object) -> commands.CustomerCommand:
    [parsed] = parse(json.dumps(frame))
    return commands.command(parsed)


# -- frames -----------------------------------------------------------------------------------


def test_one_object_or_an_array_of_them_is_a_message():
    assert parse('{"type":"ping","n":1}') == [{"type": "ping", "n": 1}]
    assert parse('[{"type":"ping"},{"type":"read","offset":2}]') == [
        {"type": "ping"}, {"type": "read", "offset": 2},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "null", "1", '"text"', "[]", "[1]", '[{"type":"ping"},1]', "[[]]", "{", "{]",
        '{"type":"ping"} x', "{'type':'ping'}", "\x00", "\ufeff{}", "undefined", "[" * 5000,
        '{"a":' * 3000, '{"type": "ping", "n": 01}',
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_a_bad_frame(text):
    with pytest.raises(BadFrame):
        parse(text)


def test_a_frame_is_measured_in_bytes():
    frame = '{"type":"message.send","text":"%s"}'
    room = FRAME_BYTES - len(frame) + 2
    assert parse(frame % ("x" * room))
    with pytest.raises(BadFrame):
        parse(frame % ("x" * (room + 1)))
    assert parse(frame % ("ü" * (room // 2)))
    with pytest.raises(BadFrame):
        parse(frame % ("ü" * (room // 2 + 1)))


def test_any_legal_text_fits_its_frame_escaped_or_not():
    for character in "\x01\u200f\ud7ff\U0001f642":
        units = len(character.encode("utf-16-le")) // 2
        text = character * (2000 // units)
        frame = {"type": "message.send", "id": "i" * 64, "text": text, "page": "p" * 1000}
        for escaped in (True, False):
            [parsed] = parse(json.dumps(frame, ensure_ascii=escaped))
            command = commands.command(parsed)
            commands.check_message(command, most_units=2000)
            assert command.text == text


@pytest.mark.parametrize(
    "escaped, text",
    [
        (r"\ud83d", "\ufffd"),
        (r"\ude42", "\ufffd"),
        (r"a\ud83db", "a\ufffdb"),
        (r"\ude42\ud83d", "\ufffd\ufffd"),
        (r"\ud83d\ude42", "🙂"),
        (r"\ud83d\ud83d\ude42", "\ufffd🙂"),
    ],
)
def test_half_an_emoji_becomes_a_replacement_character(escaped, text):
    [frame] = parse(f'{{"type":"message.send","id":"12345678","text":"{escaped}"}}')
    assert commands.command(frame).text == text


@pytest.mark.parametrize(
    "value",
    ["123456789012345678901234567890", "1e999", "NaN", "Infinity", "-0", "[" * 400 + "]" * 400],
)
def test_nothing_else_in_a_frame_with_half_an_emoji_breaks_the_reader(value):
    try:
        frames = parse(f'{{"type":"ping","x":{value},"text":"\\ud83d"}}')
    except BadFrame:
        return
    assert frames[0]["text"] == "\ufffd"


@given(st.text(max_size=200))
def test_any_text_is_frames_or_a_bad_frame(text):
    try:
        frames = parse(text)
    except BadFrame:
        return
    assert frames and all(isinstance(frame, dict) for frame in frames)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["type", "v", "token", "pos", "id", "text", "m", "value", "before", "n"]),
        json_values | st.sampled_from([*commands.COMMANDS, "message.send", 1, True, ["e", 1]]),
    )
)
def test_any_object_is_a_command_or_is_refused_by_its_type(frame):
    try:
        [parsed] = parse(json.dumps(frame))
    except BadFrame:
        return
    try:
        command = commands.command(parsed)
    except (BadCommand, UnknownCommand):
        return
    assert command.__struct_config__.tag == frame["type"]


# -- commands ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame, command",
    [
        ({"type": "hello", "v": 1, "token": "t"}, commands.Hello(1, "t")),
        (
            {"type": "hello", "v": 1, "token": "t", "pos": ["e", 3], "locale": "de", "page": "p"},
            commands.Hello(1, "t", ("e", 3), "de", "p"),
        ),
        (
            {"type": "hello", "v": 1, "token": "t", "pos": None, "locale": None},
            commands.Hello(1, "t"),
        ),
        ({"type": "message.send", "id": "i", "text": "x"}, commands.SendMessage("i", "x")),
        ({"type": "answer.stop", "m": 2}, commands.StopAnswer(2)),
        ({"type": "answer.retry", "m": 2}, commands.RetryAnswer(2)),
        *(
            ({"type": "answer.rate", "m": 2, "value": value}, commands.RateAnswer(2, value))
            for value in (1, -1, 0)
        ),
        ({"type": "history", "before": 51}, commands.History(51)),
        ({"type": "handoff.request"}, commands.RequestHandoff()),
        ({"type": "handoff.request", "reason": "r"}, commands.RequestHandoff("r")),
        ({"type": "conversation.end"}, commands.EndConversation()),
        ({"type": "identify", "jwt": "a.b.c"}, commands.Identify("a.b.c")),
        ({"type": "typing", "on": True}, commands.Typing(True)),
        ({"type": "read", "offset": 7}, commands.Read(7)),
        ({"type": "ping", "n": 7}, commands.Ping(7)),
        ({"type": "ping"}, commands.Ping(0)),
    ],
)
def test_every_command_is_read_and_fields_of_a_newer_client_are_ignored(frame, command):
    assert read(**frame) == command
    assert read(**frame, newer={"a": [1]}) == command


@pytest.mark.parametrize(
    "kind", ["", "dance", "HELLO", "answer", "welcome", "x" * 1000, "message.send "]
)
def test_an_unknown_command_is_told_so(kind):
    with pytest.raises(UnknownCommand) as refused:
        read(type=kind)
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize("kind", [None, 1, True, [], {}, ["ping"]])
def test_a_command_without_a_type_is_unknown(kind):
    with pytest.raises(UnknownCommand):
        read(type=kind)
    with pytest.raises(UnknownCommand):
        read(n=1)


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "hello", "v": 1}, {"type": "hello", "token": "t"},
        {"type": "hello", "v": "1", "token": "t"}, {"type": "hello", "v": True, "token": "t"},
        {"type": "hello", "v": 1, "token": None}, {"type": "hello", "v": 1, "token": 5},
        {"type": "hello", "v": 1, "token": "t", "pos": "e1"},
        {"type": "hello", "v": 1, "token": "t", "pos": ["e1"]},
        {"type": "hello", "v": 1, "token": "t", "pos": ["e1", "2"]},
        {"type": "hello", "v": 1, "token": "t", "pos": [1, 2]},
        {"type": "hello", "v": 1, "token": "t", "pos": ["e1", 2, 3]},
        {"type": "hello", "v": 1, "token": "t", "pos": ["e1", 2.5]},
        {"type": "hello", "v": 1, "token": "t", "locale": 1},
        {"type": "message.send"}, {"type": "message.send", "id": "i"},
        {"type": "message.send", "text": "x"}, {"type": "message.send", "id": 1, "text": "x"},
        {"type": "message.send", "id": "i", "text": ["x"]},
        {"type": "message.send", "id": "i", "text": None},
        {"type": "answer.stop"}, {"type": "answer.stop", "m": "2"},
        {"type": "answer.stop", "m": True}, {"type": "answer.stop", "m": None},
        {"type": "answer.stop", "m": 2.5}, {"type": "answer.stop", "m": 10**30},
        {"type": "answer.retry", "m": []}, {"type": "answer.rate", "m": 2},
        {"type": "answer.rate", "m": 2, "value": 2}, {"type": "answer.rate", "m": 2, "value": "1"},
        {"type": "answer.rate", "m": 2, "value": True}, {"type": "answer.rate", "value": 1},
        {"type": "history"}, {"type": "history", "before": "1"}, {"type": "identify"},
        {"type": "identify", "jwt": 1}, {"type": "typing"}, {"type": "typing", "on": 1},
        {"type": "read"}, {"type": "read", "offset": "1"}, {"type": "ping", "n": "x"},
        {"type": "handoff.request", "reason": 5}, {"type": "conversation.end", "reason": []},
    ],
)  # fmt: skip
def test_a_missing_field_or_one_of_the_wrong_type_is_a_bad_command(frame):
    with pytest.raises(BadCommand):
        read(**frame)


def test_every_refusal_of_a_command_names_a_code_and_whether_to_send_it_again():
    for kind in (BadCommand, UnknownCommand, BadId, TextEmpty, TextTooLong):
        assert issubclass(kind, CommandRefused)
        assert kind.fatal and kind.code


# -- messages ---------------------------------------------------------------------------------


def check(text: str = "x", id: str = "12345678", units: int = 2000) -> None:
    commands.check_message(commands.SendMessage(id, text), most_units=units)


@pytest.mark.parametrize(
    "id", ["12345678", "a" * 64, "0199f3a0-0000-7000-8000-000000000001", "--__--AZ"]
)
def test_an_id_has_8_to_64_letters_digits_dashes_and_underscores(id):
    check(id=id)


@pytest.mark.parametrize(
    "id",
    [
        "",
        "1234567",
        "a" * 65,
        "12345678\n",
        "1234 5678",
        "12345678é",
        "١٢٣٤٥٦٧٨",
        "12345678\x00",
        "a.b.c.d.e",
    ],
)
def test_any_other_id_is_bad(id):
    with pytest.raises(BadId):
        check(id=id)


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u3000\u2003\u00a0"])
def test_white_space_alone_is_no_message(text):
    with pytest.raises(TextEmpty):
        check(text)


@pytest.mark.parametrize(
    "text, more", [("x", "x"), ("ü", "ü"), ("漢", "漢"), ("🙂", "x"), ("🙂", "🙂")]
)
def test_length_is_counted_in_utf_16_units(text, more):
    width = len(text.encode("utf-16-le")) // 2
    check(text * (2000 // width))
    with pytest.raises(TextTooLong) as refused:
        check(text * (2000 // width) + more)
    assert refused.value.values == {"limit": 2000}


def test_a_site_may_have_a_limit_of_its_own():
    check("x" * 10, units=10)
    with pytest.raises(TextTooLong):
        check("x" * 11, units=10)


def test_a_position_below_nothing_is_none():
    assert commands.position(None) is None
    assert commands.position(("e", -1)) is None
    assert commands.position(("e", 0)) == Position("e", 0)


def test_what_was_read_is_what_orjson_would_write():
    """The lenient reader is for half an emoji only: it must not change anything else."""
    frame = {"type": "message.send", "id": "12345678", "text": "🙂 \u2028 é", "n": [1.5, -3, None]}
    [strict] = parse(orjson.dumps(frame).decode())
    [lenient] = parse(json.dumps(frame | {"x": "\ud83d"}))
    assert {k: v for k, v in lenient.items() if k != "x"} == strict == frame
