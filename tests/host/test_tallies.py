"""The folder of metrics that all workers of a supervisor share."""

import os
from pathlib import Path

from service.host.tallies import VARIABLE, forget_gauges, tallies


def test_the_folder_lives_as_long_as_its_supervisor(tmp_path):
    with tallies(tmp_path) as environ:
        folder = Path(environ[VARIABLE])
        assert folder.is_dir() and folder.is_relative_to(tmp_path)
    assert not folder.exists()


def test_what_a_killed_supervisor_left_goes_and_a_living_ones_stays(tmp_path):
    dead, living = tmp_path / "metrics-999999999", tmp_path / f"metrics-{os.getppid()}"
    dead.mkdir()
    living.mkdir()
    with tallies(tmp_path):
        assert not dead.exists() and living.exists()


def test_a_folder_that_cannot_be_made_leaves_each_worker_to_itself(tmp_path):
    (tmp_path / "file").write_text("")
    with tallies(tmp_path / "file") as environ:
        assert environ == {}


def test_a_dead_workers_gauges_are_forgotten_and_its_counters_kept(tmp_path):
    names = ("gauge_livesum_7.db", "counter_7.db", "gauge_livesum_77.db")
    for name in names:
        (tmp_path / name).write_bytes(b"")
    forget_gauges(str(tmp_path), 7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter_7.db", names[2]]
    forget_gauges(None, 7)
