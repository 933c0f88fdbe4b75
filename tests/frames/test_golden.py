"""The golden frames beside this file, which the widget's tests read too, against the server."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from service.core import commands, wire
from service.core.errors import CommandRefused

HERE = Path(__file__).parent
GOLDEN = [json.loads(path.read_text("utf-8")) for path in sorted(HERE.glob("*.json"))]
FOLDS = [golden for golden in GOLDEN if golden["kind"] == "fold"]


def of(kind: str) -> dict:
    (golden,) = (golden for golden in GOLDEN if golden["kind"] == kind)
    return golden


def read(frame: dict) -> commands.CustomerCommand:
    (parsed,) = commands.parse(json.dumps(frame), most_bytes=16 * 1024)
    command = commands.command(parsed)
    if isinstance(command, commands.SendMessage):
        commands.check_message(command, most_units=2000)
    return command


def test_the_server_takes_every_command_that_the_widget_may_send():
    for frame in of("commands")["accepted"]:
        command = read(frame)
        for name, value in frame.items():
            if name != "type":
                got = getattr(command, name)
                assert (list(got) if isinstance(got, tuple) else got) == value, frame


def test_the_server_refuses_what_is_wrong_by_the_stated_code():
    for refused in of("commands")["refused"]:
        with pytest.raises(CommandRefused) as error:
            read(refused["frame"])
        assert error.value.code == refused["code"], refused


def test_length_and_sum_of_a_text_are_those_of_the_widget():
    for sums in of("sums")["texts"]:
        assert wire.units(sums["text"]) == sums["length"]
        assert wire.checksum(sums["text"]) == sums["crc32"]


@pytest.mark.parametrize("golden", FOLDS, ids=[golden["title"] for golden in FOLDS])
def test_a_stated_end_has_the_length_and_sum_that_its_frame_says(golden):
    steps = golden["steps"]
    for before, step in pairwise(steps):
        frame = step["frame"]
        if frame["type"] != "answer.done" or step["expect"].get("need") == "anew":
            continue
        shown = step["expect"].get("messages") or before["expect"]["messages"]
        (text,) = (message["text"] for message in shown if message["m"] == frame["m"])
        assert (wire.units(text), wire.checksum(text)) == (frame["length"], frame["crc32"])
