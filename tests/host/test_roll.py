"""SIGHUP: the workers are replaced one by one, and nobody who connects meanwhile notices."""

import asyncio
import json
import os
import pty
import re
import signal
import threading
import time

import httpx
import pytest

from service.host.cards import living_workers
from tests.host.running import SITES, WITHIN_S, ask


def counted(run, event):
    return sum(1 for line in run.log() if line["event"] == event)


def until(condition, what):
    deadline = time.monotonic() + WITHIN_S
    while not (found := condition()):
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)
    return found


def until_counted(run, event, count):
    until(lambda: counted(run, event) >= count, lambda: run.out)


@pytest.fixture
def rolling(start, redis_url):
    """A `serve` that has said that it serves; its run and its port."""

    def begin(application="orderly", **settings):
        run = start("serve", application, PARLEY_REDIS_URL=redis_url, **settings)
        return run, run.until_up()

    return begin


class Asking:
    """Somebody who connects all the time; ``failed`` and ``pids`` say what came of it."""

    def __init__(self, port):
        self.failed, self.pids = [], []
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self):
        while not self._stop.is_set():
            try:
                self.pids.append(ask(self._port, timeout=10)["pid"])
            except httpx.TransportError as error:
                self.failed.append(error)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()


def test_a_hangup_replaces_the_workers_one_by_one_and_no_connection_is_refused(rolling):
    run, port = rolling()
    with Asking(port) as asking:
        run.signal(signal.SIGHUP)
        run.until(r'"event": "roll_done"')
        fresh = [line["pid"] for line in run.started()[2:]]
        until(lambda: set(asking.pids[-20:]) == set(fresh), lambda: (asking.pids, run.out))
    assert not asking.failed
    assert run.processes() == {run.pid, *fresh}
    happened = [
        (line["event"], line["name"], line["pid"]) for line in run.log()
        if line["event"] in ("worker_started", "worker_left")
    ][2:]  # fmt: skip
    former = {line["name"]: line["pid"] for line in run.started()[:2]}
    assert happened == [
        ("worker_started", "worker-1", fresh[0]), ("worker_left", "worker-1", former["worker-1"]),
        ("worker_started", "worker-2", fresh[1]), ("worker_left", "worker-2", former["worker-2"]),
    ]  # fmt: skip
    assert not counted(run, "worker_died") + counted(run, "worker_killed")


def test_the_old_worker_goes_only_when_the_new_one_serves_and_both_are_listed(
    rolling, tmp_path, redis_url
):
    run, port = rolling("lingering", WEB_CONCURRENCY="1")
    old = ask(port)["pid"]
    (tmp_path / "unready").touch()
    (tmp_path / "busy").touch()
    run.signal(signal.SIGHUP)
    until_counted(run, "worker_started", 2)
    fresh = run.started()[1]["pid"]
    until(lambda: fresh in {ask(port)["pid"] for _ in range(10)}, lambda: run.out)
    assert not counted(run, "draining")  # the new one is not ready yet
    (tmp_path / "unready").unlink()
    until_counted(run, "draining", 1)
    assert {ask(port)["pid"] for _ in range(20)} == {fresh}
    assert run.processes() == {run.pid, old, fresh}
    cards = asyncio.run(living_workers(redis_url))
    assert {(card.name, card.pid, card.ready) for card in cards} == {
        ("worker-1", old, False), ("worker-1", fresh, True),
    }  # fmt: skip
    (tmp_path / "busy").unlink()
    run.until(r'"event": "roll_done"')
    until(lambda: run.processes() == {run.pid, fresh}, run.processes)


def test_an_old_worker_that_does_not_end_is_killed_when_its_time_is_over(rolling, tmp_path):
    run, port = rolling("lingering", WEB_CONCURRENCY="1", PARLEY_DRAIN_S="3")
    old = ask(port)["pid"]
    (tmp_path / "busy").touch()
    os.kill(old, signal.SIGSTOP)
    began = time.monotonic()
    run.signal(signal.SIGHUP)
    until_counted(run, "worker_left", 1)
    assert time.monotonic() - began < 10
    until(lambda: ask(port)["pid"] != old, lambda: run.out)
    run.until(r'"event": "roll_done"')


def test_the_declared_sites_are_read_anew(rolling, tmp_path):
    run, port = rolling()
    assert ask(port)["sites"] == ["pk_test"]
    (tmp_path / "sites.toml").write_text(SITES + SITES.replace("pk_test", "pk_new"))
    run.signal(signal.SIGHUP)
    run.until(r'"event": "roll_done"')
    assert {tuple(ask(port)["sites"]) for _ in range(10)} == {("pk_new", "pk_test")}


def test_a_broken_sites_file_leaves_the_old_workers_and_one_line(rolling, tmp_path):
    run, port = rolling()
    old = {line["pid"] for line in run.started()}
    (tmp_path / "sites.toml").write_text("[[site]]\nkey = 1\n")
    before = len(run.log())
    run.signal(signal.SIGHUP)
    run.until(r'"event": "roll_ended"')
    until(lambda: run.processes() == {run.pid, *old}, run.processes)
    said = [line for line in run.log()[before:] if line["level"] in ("warning", "error")]
    (line,) = said
    assert (line["event"], line["slot"]) == ("roll_ended", 0)
    assert "sites.toml" in line["why"] and "key" in line["why"]
    assert run.err.count("\n") == 1  # what it said at its start
    assert ask(port)["pid"] in old
    (tmp_path / "sites.toml").write_text(SITES)
    run.signal(signal.SIGHUP)
    run.until(r'"event": "roll_done"')
    assert ask(port)["pid"] not in old


def test_a_second_hangup_during_a_roll_begins_another_after_it(rolling, tmp_path):
    run, _ = rolling("lingering", WEB_CONCURRENCY="1")
    (tmp_path / "busy").touch()
    run.signal(signal.SIGHUP)
    until_counted(run, "draining", 1)
    run.signal(signal.SIGHUP)
    run.signal(signal.SIGHUP)
    assert counted(run, "roll_began") == 1
    (tmp_path / "busy").unlink()
    until_counted(run, "roll_done", 2)
    assert counted(run, "roll_began") == 2
    assert len(run.started()) == 3


@pytest.mark.parametrize("moment", ["worker_started", "draining"])
def test_a_stop_during_a_roll_ends_both_workers_of_the_slot(rolling, tmp_path, moment):
    run, port = rolling("lingering", WEB_CONCURRENCY="1")
    (tmp_path / "unready" if moment == "worker_started" else tmp_path / "busy").touch()
    run.signal(signal.SIGHUP)
    until_counted(run, moment, 2 if moment == "worker_started" else 1)
    until(lambda: len(run.processes()) == 3, run.processes)
    fresh = run.started()[1]["pid"]
    until(lambda: fresh in {ask(port)["pid"] for _ in range(5)}, lambda: run.out)
    run.signal(signal.SIGTERM)
    (tmp_path / "busy").unlink(missing_ok=True)
    assert run.ended(6) == 0
    run.until_nothing_is_left(0.5)
    assert not counted(run, "worker_died") + counted(run, "worker_killed")


def test_an_old_worker_that_dies_during_a_roll_is_followed_by_the_new_one(rolling, tmp_path):
    run, port = rolling("lingering", WEB_CONCURRENCY="1")
    old = ask(port)["pid"]
    (tmp_path / "unready").touch()
    run.signal(signal.SIGHUP)
    until_counted(run, "worker_started", 2)
    os.kill(old, signal.SIGKILL)
    run.until(r'"event": "worker_died"')
    (tmp_path / "unready").unlink()
    run.until(r'"event": "roll_done"')
    assert ask(port)["pid"] == run.started()[1]["pid"]
    assert len(run.started()) == 2


def test_a_worker_told_to_end_is_replaced_while_it_still_drains(rolling, tmp_path):
    run, port = rolling("lingering", WEB_CONCURRENCY="1")
    old = ask(port)["pid"]
    (tmp_path / "busy").touch()
    os.kill(old, signal.SIGTERM)
    until_counted(run, "worker_started", 2)
    assert ask(port, timeout=WITHIN_S)["pid"] == run.started()[1]["pid"]
    assert old in run.processes()
    (tmp_path / "busy").unlink()
    run.until(r'"event": "worker_left"')
    assert not counted(run, "worker_died")


def test_a_slot_of_which_the_new_worker_never_becomes_ready_keeps_the_old_one(rolling, tmp_path):
    run, port = rolling("lingering", WEB_CONCURRENCY="1", TEST_ROLL_READY_S="1")
    old = ask(port)["pid"]
    (tmp_path / "unready").touch()
    run.signal(signal.SIGHUP)
    line = json.loads(run.until(r'.*"event": "roll_ended".*')[0])
    assert line["why"] == "it was not ready within 1 s"
    until(lambda: run.processes() == {run.pid, old}, run.processes)
    assert ask(port)["pid"] == old


def test_a_new_version_that_is_broken_leaves_the_old_workers(rolling, tmp_path):
    run, port = rolling("lingering")
    old = {line["pid"] for line in run.started()}
    (tmp_path / "broken").touch()
    run.signal(signal.SIGHUP)
    line = json.loads(run.until(r'.*"event": "roll_ended".*')[0])
    assert line["why"] == "it ended at its start, with status 1"
    assert "a bug of the new version" in run.err
    until(lambda: run.processes() == {run.pid, *old}, run.processes)
    assert ask(port)["pid"] in old
    assert not counted(run, "draining") + counted(run, "worker_died")


def test_a_terminal_that_closes_ends_serve(start, redis_url, tmp_path):
    """The same signal, from the system: nobody is left to want a roll."""
    ours, theirs = pty.openpty()
    run = start("serve", terminal=theirs, PARLEY_REDIS_URL=redis_url)
    os.close(theirs)
    said = b""
    while not re.search(rb"http://[\w.]+:(\d+)/", said):
        said += os.read(ours, 4096)
    os.close(ours)
    assert run.ended(6) == 0
    run.until_nothing_is_left(0.5)
