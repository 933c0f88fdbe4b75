"""`parley permits --watch` as people and programs run it: in a terminal, and into a pipe."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from tests.support.instance import environ
from tests.support.permit_rig import Crew
from tests.support.sources import ROOT
from tests.support.valkey import Valkey

WITHIN_S = 20.0
BEGIN, END = "\x1b[?1049h", "\x1b[?1049l"  # a screen of its own, and the one before again
HOME = "\x1b[H"


class Watching:
    """The command with its output on a terminal, or in a pipe."""

    def __init__(self, url, *words, terminal=False, rows=40, columns=80, **settings):
        self.said = ""
        self._end, theirs = pty.openpty() if terminal else os.pipe()
        if terminal:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        env = environ(PARLEY_REDIS_URL=url, TERM="xterm") | settings
        for name in ("COLUMNS", "LINES", *(() if "NO_COLOR" in settings else ("NO_COLOR",))):
            env.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", "permits", "--watch", *words],
            stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE, env=env, cwd=ROOT,
        )  # fmt: skip
        os.close(theirs)
        os.set_blocking(self._end, False)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        os.close(self._end)

    def read(self):
        try:
            while piece := os.read(self._end, 65536):
                self.said += piece.decode("utf-8", "replace")
        except BlockingIOError:
            pass
        except OSError:  # a terminal whose other end has gone
            pass
        return self.said

    def until(self, check):
        deadline = time.monotonic() + WITHIN_S
        while not check(self.read()):
            assert time.monotonic() < deadline, self.said
            assert self.process.poll() is None, (self.said, self.process.stderr.read())
            time.sleep(0.01)

    def interrupted(self):
        """Ctrl-C: its exit status, and all that it has said."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(WITHIN_S)
        assert time.monotonic() - began < 1.0, "it goes at once, also where Redis does not answer"
        return status, self.read(), self.process.stderr.read().decode()


@pytest.fixture
async def crew(redis_url):
    async with Crew(redis_url, tier=4) as crew:
        await crew.worker("one")
        yield crew


def test_in_a_terminal_it_draws_in_place_and_leaves_the_last_state_behind(crew, redis_url):
    with Watching(redis_url, terminal=True) as watching:
        watching.until(lambda said: said.count(HOME) >= 2)
        status, said, complaints = watching.interrupted()
    assert (status, complaints) == (0, "")
    assert said.startswith(BEGIN)
    drawn, left = said.split(END)
    assert "Ctrl-C ends this" in drawn
    assert "0 of 4 (the tier)" in left and "\x1b[2m" in left and HOME not in left


def test_a_terminal_that_is_too_low_says_what_it_does_not_show(crew, redis_url):
    with Watching(redis_url, terminal=True, rows=8) as watching:
        watching.until(lambda said: "more lines" in said)
        frame = watching.said.split(HOME)[1]
        assert frame.count("\n") == 7
        watching.interrupted()


def test_no_color_is_honoured(crew, redis_url):
    with Watching(redis_url, terminal=True, NO_COLOR="1") as watching:
        watching.until(lambda said: said.count(HOME) >= 2)
        _, said, _ = watching.interrupted()
    assert not re.search(r"\x1b\[[0-9;]*m", said)


@pytest.mark.parametrize("terminal", [False, True])
def test_in_a_pipe_or_on_a_dumb_terminal_blocks_follow_one_another(crew, redis_url, terminal):
    with Watching(redis_url, terminal=terminal, TERM="dumb") as watching:
        watching.until(lambda said: said.count("0 of 4 (the tier)") >= 2)
        status, said, complaints = watching.interrupted()
    assert (status, complaints) == (0, "")
    assert "\x1b" not in said
    assert len(re.findall(r"^\d\d:\d\d:\d\d\r?$", said, re.MULTILINE)) >= 2


def test_as_json_each_look_is_a_line(crew, redis_url):
    with Watching(redis_url, "--json", terminal=True) as watching:
        watching.until(lambda said: said.count("\n") >= 2)
        _, said, _ = watching.interrupted()
    assert {json.loads(line)["tier"] for line in said.splitlines()} == {4}


async def test_a_redis_that_stops_answering_is_said_and_waited_for(eventually):
    with Valkey() as own:
        async with Crew(own.url, tier=4) as crew:
            await crew.worker("one")
            with Watching(own.url, terminal=True) as watching:
                await eventually(lambda: HOME in watching.read(), within=WITHIN_S)
                own.pause()
                await eventually(lambda: "does not answer" in watching.read(), within=WITHIN_S)
                own.resume()
                shown = watching.said.count(HOME)
                await eventually(lambda: watching.read().count(HOME) > shown + 1, within=WITHIN_S)
                own.pause()
                status, _, _ = watching.interrupted()
                own.resume()
                assert status == 0


async def test_a_redis_that_comes_back_empty_is_said_until_a_worker_registers(eventually):
    with Valkey() as own:
        async with Crew(own.url, tier=4) as crew:
            worker = await crew.worker("one")
            with Watching(own.url, terminal=True) as watching:
                await eventually(lambda: "(the tier)" in watching.read(), within=WITHIN_S)
                await worker.silence()
                own.kill()
                own.start()
                await eventually(
                    lambda: "no worker has registered" in watching.read(), within=WITHIN_S
                )
                worker.resume()
                await eventually(lambda: is_calm(last_frame(watching)), within=WITHIN_S)
                assert watching.interrupted()[0] == 0


def last_frame(watching):
    return watching.read().split(HOME)[-1]


def is_calm(frame):
    return "(the tier)" in frame and "registered" not in frame and "answer;" not in frame
