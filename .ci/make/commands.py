"""The targets: what each sets up, and what it then does."""

import fcntl
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from make import extras, python, widget
from make.steps import ROOT, Step, call, environment, run_all, say, show

SERIAL = "system or browser or nginx"  # whole processes and browsers, which would disturb others
PYTEST = (python.PYTHON, "-m", "pytest", "-q")
RUFF = (python.PYTHON, "-m", "ruff")
BUG = "That is a fault of this tree, not of your machine; the lines above say where."

SWEPT = (
    *(".venv", ".venv-bench", "widget/node_modules", "service/edge/assets"),
    *("dist", "build", "test-results"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"),
)


def python_steps(locks: tuple[str, ...]) -> list[Step]:
    return [
        Step("Python environment", python.virtual_environment, python.NO_VENV),
        Step("Python packages", partial(python.packages, locks), python.NETWORK),
    ]


def node_steps(*, all_of_them: bool = False) -> list[Step]:
    modules = partial(widget.modules, all_of_them=all_of_them)
    return [
        Step(f"Node.js {widget.NODE_NEEDED} or later", widget.node, python.NETWORK),
        Step("Widget's packages", modules, widget.NETWORK),
    ]


ITSELF = Step("Parley itself", python.itself, BUG)
BUILD = Step("Widget", widget.build, BUG)
SPIN = Step("spin", extras.spin, BUG)
CHECKS = [
    Step("Lint", lambda: ran(*RUFF, "check"), "`ruff check --fix` mends most of it.", False),
    Step("Format", lambda: ran(*RUFF, "format", "--check"), "`ruff format` mends it.", False),
    Step("Types", lambda: ran(python.PYTHON, "-m", "mypy"), BUG, False),
    Step("Widget's types", lambda: counted(widget.npm("run", "check")), BUG, False),
]


def ran(*command: str | os.PathLike[str]) -> str:
    """Run a check; its last line as the remark."""
    return counted(call([os.fspath(part) for part in command]))


def counted(said: str) -> str:
    """A check's own summary: node's count of passed tests, or the last line."""
    passed = re.search(r"^\S* ?pass (\d+)$", said, re.MULTILINE)
    if passed:
        return f"{passed[1]} passed"
    last = said.strip().splitlines()[-1] if said.strip() else ""
    return "" if last.startswith(">") else last


def installed() -> list[Step]:
    return [*python_steps(python.RUN_TIME), ITSELF, *node_steps(), BUILD]


def install() -> int:
    if not set_up(installed()):
        return 1
    say(f"\nReady: {python.PARLEY.relative_to(ROOT)} --help")
    return 0


def demo() -> int:
    """Becomes `parley demo`: Ctrl-C and exit code are its own."""
    if not set_up(installed()):
        return 1
    say("")
    os.execv(python.PARLEY, [str(python.PARLEY), "demo", *sys.argv[2:]])


def bench() -> int:
    return become("tests.bench", [*python_steps(python.DEVELOPMENT), ITSELF])


def chaos() -> int:
    return become("tests.chaos", [*python_steps(python.DEVELOPMENT), ITSELF])


def verify() -> int:
    """Needs no package, but spin and a C compiler; without them it says what to install."""
    return become("tests.verify", [python_steps(python.DEVELOPMENT)[0], SPIN])


def become(module: str, steps: list[Step]) -> int:
    """Becomes ``python -m module``: words and exit code are its own; it reads ONLY, SEED …."""
    if not set_up(steps):
        return 1
    say("")
    os.chdir(ROOT)
    command = [str(python.PYTHON), "-m", module, *sys.argv[2:]]
    os.execve(command[0], command, environment())


def build_widget() -> int:
    steps = [Step("Python environment", python.virtual_environment, python.NO_VENV)]
    if not set_up([*steps, *node_steps(), BUILD]):
        return 1
    say(f"\n{widget.sizes()}")
    return 0


def check() -> int:
    return in_turn(
        [*python_steps(python.DEVELOPMENT), ITSELF, *node_steps(all_of_them=True)], CHECKS
    )


def test() -> int:
    return in_turn(
        [
            *(*python_steps(python.DEVELOPMENT), ITSELF, *node_steps(all_of_them=True), BUILD),
            Step("Chromium", extras.chromium, BUG),
            Step("nginx", extras.nginx, BUG),
            SPIN,
        ],
        [
            *CHECKS,
            Step("Widget's tests", lambda: counted(widget.npm("test")), BUG, False),
            Step("Tests, two at a time", lambda: tested(f"not ({SERIAL})", "-n", "2"), BUG, False),
            Step("Tests, one at a time", lambda: tested(SERIAL), BUG, False),
        ],
    )


def in_turn(setting_up: list[Step], work: list[Step]) -> int:
    """First what changes .venv, alone; then the work, of which all is run even if some fails."""
    last = len(setting_up) + len(work)
    with alone():
        failed = run_all(setting_up, last=last)
    failed = failed or run_all(work, first=len(setting_up) + 1, last=last)
    if failed:
        say(f"\nFAILED: {', '.join(failed)}")
    return 1 if failed else 0


def tested(markers: str, *words: str) -> str:
    return show([*PYTEST, "-m", markers, *words])


def clean() -> int:
    for name in SWEPT:
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for cache in [*ROOT.glob("service/**/__pycache__"), *ROOT.glob("tests/**/__pycache__")]:
        shutil.rmtree(cache, ignore_errors=True)
    return 0


def set_up(steps: list[Step]) -> bool:
    with alone():
        return not run_all(steps)


@contextmanager
def alone() -> Iterator[None]:
    """One run at a time changes .venv; a second one waits. The lock ends with the process."""
    with open(ROOT / ".ci" / "bootstrap.py", "rb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another `make` in this folder …")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


TARGETS: dict[str, Callable[[], int]] = {
    "install": install,
    "demo": demo,
    "test": test,
    "check": check,
    "bench": bench,
    "chaos": chaos,
    "verify": verify,
    "widget": build_widget,
    "clean": clean,
}


def main(words: list[str]) -> int:
    """Exit code: 0 done, 1 a step failed, 2 no such target, 130 interrupted."""
    try:
        if not words or words[0] not in TARGETS:
            say(f"one of: {' '.join(TARGETS)}")
            return 2
        return TARGETS[words[0]]()
    except KeyboardInterrupt:
        say("\ninterrupted; the same command goes on where this one stopped")
        return 130
    except BrokenPipeError:  # `make install | head`: nobody reads on, so say no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
