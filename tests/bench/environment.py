"""The benches' own virtual environment, .venv-bench: what Parley is compared with, and what plots.

Peers must not come into the environment that ships, and theirs must not be another Python or
another redis-py than ours, or the comparison would be of those. So .venv-bench holds Parley's own
locked versions, the peers and matplotlib, all locked in requirements-bench.txt, and *every* process
that is measured, Parley's too, runs on it. Made on first use, and again when the lock changes.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.sources import ROOT

VENV = ROOT / ".venv-bench"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements-bench.txt"
STAMP = VENV / "stamp"
TAIL_LINES = 25  # of a failed command: enough for pip's own explanation
# What would make a Python look for packages outside of its own environment.
OUTSIDE = {"PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "VIRTUAL_ENV", "PIP_USER"}


class BenchError(Exception):
    """The bench cannot run. Its text says why, and what to do."""


class PeerMissing(BenchError):
    """A peer cannot be imported. It is not left out: a bench without its peers says nothing."""


def ensure(modules: Sequence[str]) -> None:
    """See to .venv-bench, and that each of ``modules`` can be imported there. Says what it does.

    Raises BenchError where it cannot be made, PeerMissing where a module cannot be imported.
    """
    if not current():
        began = time.monotonic()
        print(f"Making {VENV.name} from {LOCK.name} (once, about 230 MB) … ", end="", flush=True)
        make()
        print(f"{time.monotonic() - began:.0f} s", flush=True)
    for module in modules:
        done = run(PYTHON, "-c", f"import {module}")
        if done.returncode != 0:
            raise PeerMissing(
                f"{module} cannot be imported in {VENV.name}; remove that folder and try again\n"
                f"{tail(done.stderr)}"
            )


def key() -> str:
    """What .venv-bench depends on: the lock, and the Python that it is made with."""
    return hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()


def current() -> bool:
    return STAMP.exists() and STAMP.read_text() == key() and run(PYTHON, "-c", "").returncode == 0


def make() -> None:
    """With this environment's pip, so that a Python without ensurepip will do."""
    if VENV.exists() and any(VENV.iterdir()) and not (VENV / "pyvenv.cfg").exists():
        raise BenchError(f"{VENV} is there, but is no virtual environment; move it away")
    needed(sys.executable, "-m", "venv", "--clear", "--without-pip", VENV)
    needed(
        *(sys.executable, "-m", "pip", "--python", PYTHON, "--disable-pip-version-check"),
        *("--no-input", "install", "--progress-bar", "off", "--no-deps", "--require-hashes"),
        *("--requirement", LOCK),
    )
    STAMP.write_text(key())


def needed(*command: str | Path) -> None:
    """Raises BenchError unless ``command`` ends with 0."""
    done = run(*command)
    if done.returncode != 0:
        raise BenchError(
            f"{VENV.name} could not be made. Is the package index reachable? A proxy is named by "
            f"HTTPS_PROXY, another index by PIP_INDEX_URL.\n{tail(done.stdout + done.stderr)}"
        )


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    words = [os.fspath(word) for word in command]
    try:
        return subprocess.run(
            words, cwd=ROOT, env=variables(), capture_output=True, text=True, check=False
        )
    except OSError as error:
        return subprocess.CompletedProcess(words, 127, "", str(error))


def variables() -> dict[str, str]:
    """The environment of every process of a bench."""
    return {name: value for name, value in os.environ.items() if name not in OUTSIDE}


def tail(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines()[-TAIL_LINES:])


def versions(packages: Sequence[str]) -> dict[str, str]:
    """What .venv-bench has of ``packages``."""
    code = (
        "import importlib.metadata, json, sys;"
        "print(json.dumps({n: importlib.metadata.version(n) for n in sys.argv[1:]}))"
    )
    done = run(PYTHON, "-c", code, *packages)
    if done.returncode != 0:
        raise BenchError(f"{VENV.name} is not whole; remove it\n{tail(done.stderr)}")
    found: dict[str, str] = json.loads(done.stdout)
    return {"Python": platform.python_version()} | found


def machine() -> dict[str, str]:
    """What figures depend on: processor, cores, system, and how busy it was before."""
    return {
        "processor": processor(),
        "cores": str(len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "date": time.strftime("%Y-%m-%d"),
    }


def processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or "unknown"
