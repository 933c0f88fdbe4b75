import json
import logging
import subprocess
import sys

import pytest

from service.host.logs import SECRET_FIELDS, without_secrets
from tests.support.sources import ROOT

PROGRAM = """
import logging, sys, structlog
from service.host import logs
logs.set_up(sys.argv[1], sys.argv[2], worker="worker-1")
log = structlog.get_logger("parley.test")
log.debug("small")
log.info("said", text="my address is 5 Elm St", conversation="c1")
logging.getLogger("uvicorn.error").info("Started server process [%d]", 1)
logging.getLogger("uvicorn.error").warning("odd %s", "thing")
logging.getLogger("httpx").info("HTTP Request: POST https://x?key=1")
def answer(question):
    return 1 / 0
try:
    answer("I live at " + str(7) + " Elm St")
except ZeroDivisionError:
    log.exception("broken")
"""


def lines(level, style):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, level, style], capture_output=True, cwd=ROOT, timeout=20
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == b"", "standard error is for what a command says about itself"
    return done.stdout.decode().splitlines()


def test_each_event_is_one_line_of_json_with_its_fields():
    said, odd, broken = map(json.loads, lines("info", "auto"))
    assert said.items() >= {
        "event": "said", "level": "info", "worker": "worker-1", "conversation": "c1",
    }.items()  # fmt: skip
    assert said["timestamp"].endswith("Z")
    assert odd["event"] == "odd thing"
    assert odd["worker"] == "worker-1"
    assert "ZeroDivisionError" in broken["exception"]


def test_what_people_write_is_withheld():
    (said, *_) = map(json.loads, lines("info", "json"))
    assert said["text"] == "<22 withheld>"


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_traceback_shows_no_variable(style):
    shown = "\n".join(lines("info", style))
    assert "ZeroDivisionError" in shown and "7 Elm St" not in shown


def test_the_level_is_kept_and_debug_shows_the_libraries_too():
    assert [json.loads(line)["event"] for line in lines("warning", "json")] == [
        "odd thing", "broken",
    ]  # fmt: skip
    events = [json.loads(line)["event"] for line in lines("debug", "json")]
    assert "small" in events
    assert "Started server process [1]" in events


def test_text_is_for_people():
    text = "\n".join(lines("info", "text"))
    assert "said" in text and "worker-1" in text
    assert "Elm" not in text
    assert "\x1b[" not in text, "colours are for terminals"


@pytest.mark.parametrize("field", sorted(SECRET_FIELDS))
def test_no_secret_field_is_shown_whatever_it_holds(field):
    for value in ("secret", b"secret", ["secret"], {"a": "secret"}):
        event = without_secrets(logging.getLogger(), "info", {"event": "e", field: value})
        assert "secret" not in repr(event)
