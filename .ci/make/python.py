"""The virtual environment: its Python, the locked packages, and Parley itself."""

import re
import shutil
import sys
from pathlib import Path

from make.steps import AS_BEFORE, ROOT, STAMPS, VENV, Failed, call, digest, set_stamp, stamped

PYTHON = VENV / "bin" / "python"
PARLEY = VENV / "bin" / "parley"
RUN_TIME = ("requirements.txt", ".ci/requirements-build.txt")
DEVELOPMENT = ("requirements-dev.txt",)  # holds all of RUN_TIME, too
NODE = (".ci/requirements-node.txt",)

PIP = (
    *(PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"),
    *("--progress-bar", "off", "--no-deps"),
)
NETWORK = (
    "Is the package index reachable? A proxy is named by HTTPS_PROXY, another index by "
    "PIP_INDEX_URL. Then run the same command again: what is done is kept."
)
NO_VENV = (
    "This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv. "
    "Elsewhere uv or virtualenv will do. Then run the same command again."
)


def virtual_environment() -> str:
    """A .venv whose Python runs, is new enough and has pip; the one that is there, if it does."""
    if works():
        return AS_BEFORE
    if VENV.exists() and any(VENV.iterdir()) and not (VENV / "pyvenv.cfg").exists():
        raise Failed(f"{VENV} is there, but is no virtual environment", "Move it away.")
    ways = (
        (sys.executable, "-m", "venv", VENV),
        ("uv", "venv", "--seed", "--python", sys.executable, VENV),
        ("virtualenv", "--python", sys.executable, VENV),
        (sys.executable, "-m", "virtualenv", VENV),
    )
    said = []
    for way in ways:
        shutil.rmtree(VENV, ignore_errors=True)
        try:
            call(way, advice=NO_VENV)
        except Failed as failure:
            said.append(failure.output)
        else:
            if works():
                return f"{version()} by {' '.join(map(str, way[:3])) if '-m' in way else way[0]}"
            said.append(f"{way[0]} left no Python with pip in {VENV}")
    shutil.rmtree(VENV, ignore_errors=True)
    raise Failed("\n".join(said), NO_VENV)


def works() -> bool:
    try:
        call([PYTHON, "-c", "import sys, pip; sys.exit(sys.version_info < (3, 11))"])
    except Failed:
        return False
    return True


def version() -> str:
    return call([PYTHON, "--version"]).strip()


def packages(locks: tuple[str, ...]) -> str:
    """Install what ``locks`` name, each file checked against its hash; the megabytes fetched."""
    if stamped(*stamp_of(locks)):
        return AS_BEFORE
    wanted = [part for lock in locks for part in ("--requirement", ROOT / lock)]
    said = call([*PIP, "--require-hashes", *wanted], advice=NETWORK)
    for done in (locks, RUN_TIME) if locks == DEVELOPMENT else (locks,):
        set_stamp(*stamp_of(done))
    return f"{downloaded(said):.0f} MB fetched"


def stamp_of(locks: tuple[str, ...]) -> tuple[Path, str]:
    """The stamp of these locks, and its key."""
    return STAMPS / Path(locks[0]).name, digest([ROOT / lock for lock in locks], version())


def downloaded(said: str) -> float:
    """Megabytes that pip says it fetched; its cache does not count."""
    units = {"kB": 1e-3, "MB": 1.0, "GB": 1e3, "bytes": 1e-6}
    found = re.findall(r"Downloading \S+ \(([\d.]+) (bytes|kB|MB|GB)\)", said)
    return sum(float(number) * units[unit] for number, unit in found)


def itself() -> str:
    """Parley from the present tree: edits need no new installation."""
    key = digest([ROOT / "pyproject.toml", ROOT / "service" / "__init__.py"], str(ROOT), version())
    stamp = STAMPS / "parley"
    if stamped(stamp, key) and PARLEY.exists():
        return AS_BEFORE
    call([*PIP, "--no-build-isolation", "--editable", ROOT])
    set_stamp(stamp, key)
    return ""
