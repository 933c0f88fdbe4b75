"""Guards that were taken out and bugs that were put back, each of which a test must notice.

`tests/mutants/*.patch` are patches of `service/` or `widget/`, each with a head of its own: what is
broken, why that is bad, and `Caught-by:` with the tests that turn red. Each is applied to a copy of
the tree, never to the tree, and its tests run there.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sources import ROOT

PATCHES = sorted((ROOT / "tests" / "mutants").glob("*.patch"))
CAUGHT_BY = re.compile(r"^Caught-by: (.+)$", re.MULTILINE)
TESTS_FAILED = 1  # pytest's exit status; what cannot be imported or found has another one
# The guards whose removal must be noticed, whatever else is listed.
PERMITS = {
    *("permits-without-quarantine", "permits-without-epoch-check"),
    *("permits-without-generation-guard", "permits-without-reserve"),
}


def name(patch: Path) -> str:
    return patch.stem


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The parts of the tree that a server's test needs."""
    left_out = shutil.ignore_patterns("__pycache__", "node_modules", ".hypothesis", "*.pyc")
    for part in ("service", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=left_out)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(copy: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=copy, capture_output=True, text=True, timeout=150, check=False
    )


@pytest.mark.timeout(180)
@pytest.mark.parametrize("patch", PATCHES, ids=name)
def test_what_a_patch_breaks_is_noticed(patch: Path, copy: Path):
    applied = run(copy, "git", "apply", "--verbose", "-p1", str(patch))
    assert applied.returncode == 0, f"the patch is out of date: {applied.stderr}"
    tests = CAUGHT_BY.findall(patch.read_text())
    assert tests, "its head names no test"
    ran = run(
        copy,
        *(sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider"),
        *("-p", "no:randomly", "-p", "no:hypothesispytest"),
        *tests,
    )
    assert ran.returncode == TESTS_FAILED, f"nothing turned red:\n{ran.stdout[-3000:]}{ran.stderr}"
    green = [
        test for test in tests if not re.search(rf"^FAILED {re.escape(test)}", ran.stdout, re.M)
    ]
    assert not green, f"these stayed green: {green}\n{ran.stdout[-3000:]}"


def test_the_guards_that_must_be_noticed_are_all_here():
    assert {name(patch) for patch in PATCHES} >= PERMITS


@pytest.mark.parametrize("patch", PATCHES, ids=name)
def test_a_patch_says_what_it_breaks_and_touches_no_test(patch: Path):
    head, _, body = patch.read_text().partition("\n--- ")
    assert len(head.splitlines()) >= 3, "say what is broken, and what comes of it"
    touched = re.findall(r"^\+\+\+ b/(\S+)", "\n--- " + body, re.MULTILINE)
    assert touched
    assert all(path.startswith(("service/", "widget/")) for path in touched)
