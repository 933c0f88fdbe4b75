import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from tests.chaos import rigs
from tests.chaos.rigs import Outcome, Rig, Task, UnknownRig, chosen

UNSET = {"ONLY": None, "SEED": None, "MINUTES": None}


@pytest.fixture
def run(monkeypatch):
    """`python -m tests.chaos`, with a rig "calm" in the place of all others; its tasks."""
    from tests.chaos import __main__ as command

    tasks: list[Task] = []
    outcome = Outcome(ok=True, complete=True, table="the table", report={"figure": 7})

    def invoke(*words, environ=None, becomes=outcome):
        async def calm(task):
            tasks.append(task)
            task.say("calm")
            return becomes

        rig = Rig("calm", "nothing happens", 2.0, ("sea", "wind"), calm)
        monkeypatch.setattr(rigs, "MODULES", {"calm": "nowhere"})
        monkeypatch.setattr(rigs, "rig", lambda name: known(name, rig))
        monkeypatch.setattr(command.structlog, "configure", lambda **_: None)  # pytest's process
        result = CliRunner().invoke(command.main, list(words), env={**UNSET, **(environ or {})})
        return result, tasks

    def known(name, rig):
        if name != "calm":
            raise UnknownRig(f"{name!r} is no rig; there is calm")
        return rig

    invoke.outcome = outcome
    return invoke


def test_every_rig_is_run_for_its_own_minutes_with_a_seed_that_is_told(run):
    result, [task] = run()
    assert result.exit_code == 0
    assert (task.seconds, task.parts) == (120, ())
    assert f"SEED={task.seed}" in result.output
    assert "the table" in result.output


def test_seed_minutes_and_parts_come_from_the_environment(run):
    _, [task] = run(environ={"SEED": "5", "MINUTES": "0.5", "ONLY": "calm:wind"})
    assert (task.seed, task.seconds, task.parts) == (5, 30, ("wind",))


def test_variables_that_make_passes_on_empty_are_not_set(run):
    _, [task] = run(environ={"SEED": "", "MINUTES": "", "ONLY": ""})
    assert (task.seconds, task.parts) == (120, ())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--seed", "x"], "'x' is no whole number from 0 to"),
        (["--seed", "-1"], "'-1' is no whole number"),
        (["--seed", "2147483648"], "from 0 to 2147483647"),
        (["--minutes", "0"], "'0' is no number of minutes above 0"),
        (["--minutes", "long"], "'long' is no number of minutes"),
        (["--minutes", "nan"], "'nan' is no number of minutes"),
        (["--only", "storms"], "'storms' is no rig; there is calm"),
        (["--only", "calm:rain"], "calm has no part 'rain'; there are sea, wind"),
        (["--json", "/no/such/folder/out.json"], "there is no folder /no/such/folder"),
    ],
)
def test_a_wrong_option_is_told_with_what_would_do(run, words, says):
    result, tasks = run(*words)
    assert result.exit_code == 2
    assert says in result.output
    assert tasks == []


def test_a_miss_fails_the_command_and_stands_in_the_file(run, tmp_path):
    path = tmp_path / "figures.json"
    result, _ = run("--json", str(path), becomes=replace(run.outcome, ok=False))
    assert result.exit_code == 1
    assert "MISSED" in result.output
    written = json.loads(path.read_text())
    assert written["ok"] is False
    assert written["rigs"] == {"calm": {"figure": 7}}


def test_what_was_not_run_fails_unless_less_time_was_asked_for(run):
    some = replace(run.outcome, complete=False)
    assert run(becomes=some)[0].exit_code == 1
    assert run("--minutes", "1", becomes=some)[0].exit_code == 0


def test_several_rigs_and_parts_may_be_named():
    [(rig, parts)] = chosen("permits:steady,storm")
    assert (rig.name, parts) == ("permits", ("steady", "storm"))
    assert [rig.name for rig, _ in chosen("")] == sorted(rigs.MODULES)
