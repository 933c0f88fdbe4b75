import json
import os
import stat
import subprocess
import sys

import pytest

from service.core.errors import SettingError
from service.host import folder as folders
from service.host.folder import Claim, Traces, instance_url, prepare

HOLD = """
import sys, time
from pathlib import Path
from service.host.folder import Claim
claim = Claim.take(Path(sys.argv[1]), "demo")
claim.announce("unix:///x")
print("held", flush=True)
time.sleep(60)
"""


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def folder(tmp_path):
    return prepare(tmp_path / "data")


@pytest.fixture
def holder(folder):
    """Another process that holds the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


# -- the folder -------------------------------------------------------------------------------


def test_a_folder_is_made_for_us_alone(tmp_path):
    made = prepare(tmp_path / "new" / "data")
    assert made.is_absolute()
    assert mode(made) == 0o700


def test_an_empty_or_known_folder_that_others_can_read_is_closed_to_them(tmp_path):
    for name, file in (("empty", None), ("known", folders.LOCK)):
        path = tmp_path / name
        path.mkdir(mode=0o755)
        if file is not None:
            (path / file).touch()
        assert mode(prepare(path)) == 0o700


def test_a_folder_of_other_things_is_not_taken_over(tmp_path):
    path = tmp_path / "home"
    path.mkdir(mode=0o755)
    (path / "letters").touch()
    with pytest.raises(SettingError, match=r"PARLEY_DATA=.*home: others can read it"):
        prepare(path)
    assert mode(path) == 0o755


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SettingError, match=r"PARLEY_DATA=.*: is no folder"):
            prepare(path)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(SettingError, match="PARLEY_DATA="):
        prepare(tmp_path / "closed" / "data")


# -- the claim --------------------------------------------------------------------------------


def test_a_second_claim_names_who_has_it_and_a_line_that_works(folder, holder):
    with pytest.raises(SettingError) as refused:
        Claim.take(folder, "demo")
    assert f"process {holder.pid}" in str(refused.value)
    assert "`parley demo`" in str(refused.value)
    assert "PARLEY_DATA=" in str(refused.value)
    assert "PORT=0 parley demo`" in str(refused.value)


def test_a_killed_holder_leaves_the_folder_free(folder, holder):
    holder.kill()
    holder.wait()
    Claim.take(folder, "serve").drop()


def test_a_claim_waits_for_what_a_dead_holder_has_left_running(folder, monkeypatch):
    """A supervisor's Valkey has the lock for some milliseconds longer than the supervisor."""
    orphan = Claim.take(folder, "demo")
    os.pwrite(orphan.fd, b"999999999 parley demo\n", 0)  # no process has such a number
    asked = []

    def sleep(seconds):
        asked.append(seconds)
        if len(asked) == 3:
            orphan.drop()

    monkeypatch.setattr(folders.time, "sleep", sleep)
    Claim.take(folder, "demo").drop()
    assert len(asked) == 3


def test_an_instance_is_found_while_it_is_held_and_only_then(folder, holder):
    assert instance_url(folder) == "unix:///x"
    holder.kill()
    holder.wait()
    assert instance_url(folder) is None
    assert instance_url(folder / "nowhere") is None


# -- the traces -------------------------------------------------------------------------------


def test_a_living_workers_trace_is_nobodys_and_a_dead_ones_is_found(folder):
    traces = Traces(folder, "redis a")
    fd = traces.make("s1")
    assert traces.take("s1") is None
    assert list(traces.left()) == []
    os.close(fd)  # as the kernel does for a dead process
    (trace,) = traces.left()
    assert trace.session == "s1"
    assert list(Traces(folder, "redis a").left()) == [], "one finder at a time"
    trace.forget()
    assert list(traces.left()) == []
    assert not list((folder / "workers").iterdir())


def test_a_trace_of_another_redis_is_left_to_who_uses_that(folder):
    os.close(Traces(folder, "redis a").make("s1"))
    assert list(Traces(folder, "redis b").left()) == []
    (trace,) = Traces(folder, "redis a").left()
    trace.forget()


def test_an_old_trace_of_a_redis_that_nobody_uses_any_more_is_removed(folder):
    os.close(Traces(folder, "redis a").make("s1"))
    long_ago = 1_000_000_000
    os.utime(folder / "workers" / "s1", (long_ago, long_ago))
    assert list(Traces(folder, "redis b").left()) == []
    assert not list((folder / "workers").iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"session": 1}', json.dumps({"where": "x"})])
def test_a_broken_trace_is_removed(folder, text):
    traces = Traces(folder, "redis a")
    (folder / "workers" / "s1").write_text(text)
    assert list(traces.left()) == []
    assert not (folder / "workers" / "s1").exists()


def test_without_a_folder_to_write_to_there_are_no_traces(tmp_path):
    (tmp_path / "file").touch()
    traces = Traces(tmp_path / "file", "redis a")
    assert not traces.kept
    assert traces.make("s1") is None
    assert traces.take("s1") is None
    assert list(traces.left()) == []
