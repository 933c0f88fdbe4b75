"""The steps behind the Makefile: named, timed, skipped when nothing changed, clear when they fail.

That whole targets work on a bare machine is what every run of `.ci/run` shows.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from make import commands, extras, python, steps, widget

from tests.support import programs
from tests.support.sources import ROOT


def failing() -> str:
    raise steps.Failed("\n".join(f"line {n}" for n in range(100)), "Do this.")


def test_steps_are_numbered_timed_and_say_when_nothing_was_to_do(capsys):
    some = [
        steps.Step("First", lambda: "3 MB", "-"),
        steps.Step("Second", lambda: steps.AS_BEFORE, "-"),
    ]
    assert steps.run_all(some) == []
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("[1/2] First … ") and first.endswith(" s, 3 MB")
    assert second == "[2/2] Second … as before"


def test_what_a_step_showed_last_stays_last(capfd):
    shown = steps.Step(
        "Tests", lambda: steps.show([sys.executable, "-c", "print('12 passed')"]), "-"
    )
    assert steps.run_all([shown]) == []
    assert capfd.readouterr().out.endswith("12 passed\n")


def test_a_failed_step_shows_the_end_of_its_log_and_what_to_do_and_ends_the_run(capsys):
    after = steps.Step("After", lambda: pytest.fail("must not run"), "-")
    assert steps.run_all([steps.Step("Bad", failing, "-"), after]) == ["Bad"]
    said = capsys.readouterr().out
    assert "[1/2] Bad … FAILED" in said
    assert "line 99" in said and "line 1\n" not in said
    assert said.rstrip().endswith("Bad failed. Do this.")


def test_a_step_that_is_not_needed_fails_without_ending_the_run(capsys):
    seen = []
    after = steps.Step("After", lambda: seen.append(1) or "", "-")
    assert steps.run_all([steps.Step("Bad", failing, "-", needed=False), after]) == ["Bad"]
    assert seen == [1]


def test_a_file_that_cannot_be_read_is_a_failed_step_and_no_traceback(capsys):
    gone = steps.Step("Gone", lambda: Path("/nonexistent/lock").read_text(), "-")
    assert steps.run_all([gone]) == ["Gone"]
    assert "/nonexistent/lock" in capsys.readouterr().out


def test_a_commands_own_words_are_kept_for_its_failure():
    with pytest.raises(steps.Failed, match="too bad"):
        steps.call([sys.executable, "-c", "import sys; print('too bad'); sys.exit(3)"])
    with pytest.raises(steps.Failed, match="no-such-program"):
        steps.call(["no-such-program"])


def test_a_stamp_holds_until_what_the_step_reads_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    source, stamp = tmp_path / "lock", tmp_path / "stamps" / "lock"
    source.write_text("a==1")
    steps.set_stamp(stamp, steps.digest([source], "3.11.2"))
    assert steps.stamped(stamp, steps.digest([source], "3.11.2"))
    assert not steps.stamped(stamp, steps.digest([source], "3.13.0"))
    source.write_text("a==2")
    assert not steps.stamped(stamp, steps.digest([source], "3.11.2"))


def only(working: str, tried: list[str]):
    """A stand-in for `call`: of the ways to a virtual environment, one works, or none."""

    def call(command, **_):
        way = "venv" if "venv" in command[1:3] and command[0] == sys.executable else command[0]
        tried.append(way)
        if way != working:
            raise steps.Failed("ensurepip is not available", python.NO_VENV)

    return call


@pytest.mark.parametrize("working", ["venv", "uv", "virtualenv"])
def test_where_venv_is_crippled_uv_and_then_virtualenv_do(working, tmp_path, monkeypatch):
    tried: list[str] = []
    monkeypatch.setattr(python, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(python, "call", only(working, tried))
    monkeypatch.setattr(python, "works", lambda: working in tried)
    monkeypatch.setattr(python, "version", lambda: "Python 3.11.2")
    assert python.virtual_environment().startswith("Python 3.11.2 by ")
    assert tried == ["venv", "uv", "virtualenv"][: len(tried)] and tried[-1] == working


def test_where_nothing_makes_an_environment_the_one_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(python, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(python, "call", only("nothing", []))
    monkeypatch.setattr(python, "works", lambda: False)
    with pytest.raises(steps.Failed) as failed:
        python.virtual_environment()
    assert "apt install python3-venv" in failed.value.advice
    assert not (tmp_path / ".venv").exists()


def test_a_folder_that_is_no_environment_is_not_swept_away(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr(python, "VENV", tmp_path)
    monkeypatch.setattr(python, "works", lambda: False)
    with pytest.raises(steps.Failed, match="no virtual environment"):
        python.virtual_environment()
    assert (tmp_path / "mine").exists()


@pytest.mark.parametrize(("may", "installs"), [(True, "apt-get"), (False, "playwright")])
def test_a_missing_chromium_is_installed_where_it_may_be(may, installs, monkeypatch):
    ran: list[str] = []
    monkeypatch.setenv("PARLEY_CHROMIUM", "")
    monkeypatch.setattr(programs, "chromium", lambda: "/a/chromium" if ran else None)
    monkeypatch.setattr(extras, "may_install", lambda: may)
    monkeypatch.setattr(
        extras, "call", lambda command, **_: ran.append(" ".join(map(str, command)))
    )
    assert extras.chromium() == "/a/chromium" == os.environ["PARLEY_CHROMIUM"]
    assert all(installs in command for command in ran)


def test_a_chromium_that_cannot_be_installed_ends_nothing(monkeypatch):
    def offline(command, **_):
        raise steps.Failed("$ playwright install\nno route to host")

    monkeypatch.setattr(programs, "chromium", lambda: None)
    monkeypatch.setattr(extras, "may_install", lambda: False)
    monkeypatch.setattr(extras, "call", offline)
    assert extras.chromium() == "none, and none could be installed: no route to host"


@pytest.mark.parametrize(("may", "said"), [(True, "/usr/bin/spin"), (False, "none")])
def test_a_missing_spin_comes_with_a_compiler_where_it_may_be_installed(may, said, monkeypatch):
    ran: list[str] = []
    monkeypatch.setattr(programs, "verifier", lambda: "/usr/bin/spin" if ran else None)
    monkeypatch.setattr(extras, "may_install", lambda: may)
    monkeypatch.setattr(extras, "call", lambda command, **_: ran.append(" ".join(command)))
    assert extras.spin() == said
    assert not may or ran[-1].endswith("spin gcc libc6-dev")


def test_a_spin_without_a_compiler_is_no_verifier(tmp_path):
    (tmp_path / "spin").write_text("#!/bin/sh\necho Spin Version 6.5.2\n")
    (tmp_path / "spin").chmod(0o755)
    assert programs.spin({"PATH": str(tmp_path)}) == str(tmp_path / "spin")
    assert programs.verifier({"PATH": str(tmp_path)}) is None
    (tmp_path / "cc").symlink_to("/bin/sh")
    assert programs.verifier({"PATH": str(tmp_path)}) == str(tmp_path / "spin")


@pytest.mark.parametrize("target", ["bench", "chaos", "verify"])
def test_a_target_with_a_module_of_its_own_becomes_it_and_passes_its_settings_on(
    target, monkeypatch
):
    became = []
    monkeypatch.setenv("SEED", "7")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", target, "--only", "permits"])
    monkeypatch.setattr(commands, "set_up", lambda steps: True)
    monkeypatch.setattr(os, "chdir", became.append)
    monkeypatch.setattr(os, "execve", lambda *what: became.append(what))
    commands.main([target])
    folder, (program, words, environment) = became
    assert folder == ROOT
    assert words == [program, "-m", f"tests.{target}", "--only", "permits"]
    assert environment["SEED"] == "7" and "PYTHONPATH" not in environment


def test_where_setting_up_fails_no_module_is_begun(monkeypatch):
    monkeypatch.setattr(commands, "set_up", lambda steps: False)
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("must not run"))
    assert commands.main(["verify"]) == 1


@pytest.mark.parametrize(("ci", "root", "may"), [("", 0, False), ("true", 1000, False)])
def test_packages_of_the_system_are_for_roots_build_machine_only(ci, root, may, monkeypatch):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(os, "geteuid", lambda: root)
    assert extras.may_install() is may


def test_pip_counts_only_what_it_fetched():
    said = "Using cached a.whl (9 MB)\n  Downloading b.whl (61.1 MB)\nDownloading c.whl (900 kB)"
    assert python.downloaded(said) == pytest.approx(62.0)


def test_an_old_node_is_not_taken(tmp_path, monkeypatch):
    for name, says in (("node", "v20.20.2"), ("npm", "10.0.0")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {says}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert widget.machine_node() is None
    (tmp_path / "node").write_text("#!/bin/sh\necho v22.3.0\n")
    assert widget.machine_node() == tmp_path / "node"


def test_each_target_of_the_makefile_is_a_command_and_the_other_way_round():
    lines = (ROOT / "Makefile").read_text().splitlines()
    targets = {line.split(":")[0] for line in lines if "## " in line and line[0].isalpha()}
    assert targets == {"help", *commands.TARGETS}


def test_an_unknown_target_is_answered_with_the_known_ones():
    bootstrap = [sys.executable, str(ROOT / ".ci" / "bootstrap.py"), "everything"]
    done = subprocess.run(bootstrap, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout.startswith("one of: install demo test")


def test_the_bootstrap_itself_can_be_read_by_an_old_python():
    source = (ROOT / ".ci" / "bootstrap.py").read_text()
    ast.parse(source, feature_version=(3, 4))
    assert 'f"' not in source  # feature_version does not look at those


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_tests_that_need_a_missing_browser_are_counted_and_fail_a_build_machine(tmp_path, ci, code):
    browser = "import pytest\n@pytest.mark.browser\ndef test_it(): pass\ndef test_other(): pass\n"
    (tmp_path / "test_example.py").write_text(browser)
    options = ("-q", "-c", "pyproject.toml", "-p", "tests.conftest", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=ROOT,
        env={"PATH": "/nonexistent", "HOME": str(tmp_path), "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    *_, count, remedy = done.stdout.splitlines()
    assert count == "BROWSER TESTS NOT RUN: 1"
    assert "playwright install" in remedy


def test_a_wrong_chromium_is_an_error_and_not_a_reason_to_take_another():
    with pytest.raises(FileNotFoundError, match="PARLEY_CHROMIUM=/nowhere"):
        programs.chromium({"PARLEY_CHROMIUM": "/nowhere", "PATH": os.environ["PATH"]})


def test_playwrights_own_chromium_is_found(tmp_path):
    chrome = tmp_path / ".cache/ms-playwright/chromium-1200/chrome-linux64/chrome"
    chrome.parent.mkdir(parents=True)
    chrome.touch()
    assert programs.chromium({"HOME": str(tmp_path), "PATH": "/nonexistent"}) == str(chrome)
