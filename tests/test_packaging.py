"""What is shipped: few packages, each used; locks with hashes; a wheel that needs no Node."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service import __version__
from tests.support.sources import ROOT, SERVICE, imports, modules, read, tree

DIRECT_PACKAGES = 18  # each one more is somebody else's release to watch
LOCKS = ("requirements.txt", "requirements-dev.txt")
# What a distribution is called when it is imported, where that is not its name.
IMPORTED_AS = {"pyjwt": "jwt", "argon2-cffi": "argon2"}
# Loaded by name, by another library: uvicorn's parser and its WebSocket protocol.
LOADED_BY = {"httptools": "uvicorn", "websockets": "uvicorn"}


def project() -> dict:
    return tomllib.loads(read(ROOT / "pyproject.toml"))["project"]


def direct() -> dict[str, Requirement]:
    """The declared run-time packages by name, those of the extras included."""
    extras = [line for lines in project()["optional-dependencies"].values() for line in lines]
    found = [Requirement(line) for line in [*project()["dependencies"], *extras]]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def module_of(name: str) -> str:
    return IMPORTED_AS.get(name, name.replace("-", "_"))


def imported() -> set[str]:
    """The top-level modules that service/ imports and that are neither ours nor Python's."""
    names = {name.split(".")[0] for path in modules() for name, _ in imports(path)}
    return names - set(sys.stdlib_module_names) - {"service"}


def named() -> set[str]:
    """Every string in service/ that is one word: what is imported or looked up by its name."""
    strings = (
        node.value
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return {text for text in strings if text.isidentifier()}


def locked(lock: str) -> dict[str, tuple[Requirement, int]]:
    """name: (the pinned requirement with its marker, how many hashes it has)."""
    entries = re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n", "", read(ROOT / lock), flags=re.MULTILINE))
    found = {}
    for entry in filter(str.strip, entries):
        requirement = Requirement(entry.split("\\")[0].strip())
        found[canonicalize_name(requirement.name)] = (requirement, entry.count("--hash=sha256:"))
    return found


def test_there_are_at_most_eighteen_direct_packages():
    assert len(direct()) <= DIRECT_PACKAGES, sorted(direct())


def test_every_declared_package_is_used():
    used = imported() | named()
    unused = [
        name for name in direct() if module_of(name) not in used and LOADED_BY.get(name) not in used
    ]
    assert not unused


def test_every_imported_package_is_declared():
    declared = {module_of(name) for name in direct()}
    assert imported() - declared == set()


@pytest.mark.parametrize(
    "lock",
    [
        *LOCKS,
        *("requirements-bench.txt", ".ci/requirements-build.txt", ".ci/requirements-node.txt"),
    ],
)
def test_a_lock_pins_with_hashes_and_names_no_registry(lock):
    assert not re.findall(r"\w+://|file:|--index|--find-links|^-e", read(ROOT / lock), re.MULTILINE)
    loose = [
        name
        for name, (requirement, hashes) in locked(lock).items()
        if not hashes or not re.fullmatch(r"==[\w.]+", str(requirement.specifier))
    ]
    assert not loose


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_the_project_declares(lock):
    lines = locked(lock)
    unfit = [
        str(requirement)
        for name, requirement in direct().items()
        if name not in lines
        or str(lines[name][0].specifier).removeprefix("==") not in requirement.specifier
    ]
    assert not unfit, "run .ci/lock"


def test_the_locks_agree():
    run_time, development = (locked(lock) for lock in LOCKS)
    differ = [
        name
        for name, (requirement, hashes) in run_time.items()
        if str(development[name][0].specifier) != str(requirement.specifier)
        or development[name][1] != hashes
    ]
    assert not differ, "run .ci/lock"


@pytest.mark.parametrize("platform", ["linux", "darwin"])
@pytest.mark.parametrize("version", ["3.11.2", "3.13.0"])
def test_the_lock_fits_old_patch_releases_and_macos(platform, version):
    """redis needs async-timeout before Python 3.11.3; uvloop and the Valkey come to macOS, too."""
    machine = {"python_full_version": version, "sys_platform": platform, "os_name": "posix"}
    machine |= {"python_version": version.rpartition(".")[0], "platform_machine": "arm64"}
    chosen = {
        name
        for name, (requirement, _) in locked("requirements.txt").items()
        if requirement.marker is None or requirement.marker.evaluate(machine)
    }
    assert ("async-timeout" in chosen) == (version == "3.11.2")
    assert set(direct()) <= chosen


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the present tree, built as a release would be, unpacked."""
    assert (SERVICE / "edge" / "assets").is_dir(), "the widget is not built: run `make widget`"
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_holds_all_that_the_server_reads(wheel):
    wanted = {
        path.relative_to(ROOT)
        for path in SERVICE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    kinds = {path.suffix for path in wanted}
    assert {".py", ".lua", ".js", ".typed"} <= kinds
    assert not [str(path) for path in sorted(wanted) if not (wheel / path).exists()]


def test_the_wheel_runs_away_from_its_tree(wheel, tmp_path):
    """Imported from the wheel alone, the command knows itself and lists what it can do."""
    code = "import service.cli; print(service.cli.__file__); service.cli.main(['--help'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(wheel))
    assert "serve" in done.stdout


def test_the_wheel_brings_the_command(wheel):
    (entry_points,) = wheel.glob("*.dist-info/entry_points.txt")
    assert "parley = service.cli:main" in entry_points.read_text()


def test_versions_agree():
    """The package, the newest entry of the changelog, and the widget's workspace."""
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\]", read(ROOT / "CHANGELOG.md"), re.MULTILINE)
    assert newest and newest[1] == __version__
    assert f'"version": "{__version__}"' in read(ROOT / "widget" / "package.json")
