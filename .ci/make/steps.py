"""Steps: each is named, timed, skipped when what it reads has not changed, and says what to do when
it fails.

    [2/6] Python packages … 7.1 s
    [3/6] Parley itself … as before

What a step prints is kept back, and only its end is shown, when it fails.
"""

import hashlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMPS = VENV / "stamps"
TAIL_LINES = 25  # of a failed command: enough for pip's and npm's own explanation
AS_BEFORE = "as before"
SHOWN = "shown"  # the step spoke for itself, and what it said last shall stay last
UNREADABLE = "The line above names what could not be read or written on this machine."


class Failed(Exception):
    """A command did not do what it should. ``output`` is its own words; ``advice`` is ours."""

    def __init__(self, output: str, advice: str = "") -> None:
        super().__init__(output)
        self.output = output
        self.advice = advice


@dataclass(frozen=True)
class Step:
    """``run`` returns a remark for the step's line, or "". Unless ``needed``, later steps go on."""

    name: str
    run: Callable[[], str]
    advice: str
    needed: bool = True


def run_all(steps: Sequence[Step], *, first: int = 1, last: int = 0) -> list[str]:
    """Run the steps in order; the names of those that failed. Stops at the first needed one.

    ``first`` and ``last`` are the numbers shown, where these steps are a part of a longer list.
    """
    failed = []
    for number, step in enumerate(steps, first):
        say(f"[{number}/{last or len(steps)}] {step.name} … ", end="")
        began = time.monotonic()
        try:
            remark = step.run()
        except (Failed, OSError) as failure:  # OSError: a full disk, a file that is not ours
            advice = failure.advice if isinstance(failure, Failed) else UNREADABLE
            say("FAILED")
            say(tail(str(failure)))
            say(f"\n{step.name} failed. {advice or step.advice}\n")
            failed.append(step.name)
            if step.needed:
                return failed
        else:
            took = f"{time.monotonic() - began:.1f} s"
            if remark != SHOWN:
                say(remark if remark == AS_BEFORE else ", ".join(filter(None, (took, remark))))
    return failed


def say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)


def tail(output: str) -> str:
    """The last lines, marked as somebody else's words."""
    lines = output.rstrip().splitlines()[-TAIL_LINES:]
    return "\n".join(f"    {line}" for line in lines)


def call(
    command: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    extra: dict[str, str] | None = None,
    advice: str = "",
) -> str:
    """Run ``command`` without a terminal; what it printed. Raises Failed unless it ends with 0."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise Failed(str(error), advice) from error
    if done.returncode != 0:
        said = done.stdout or "(it printed nothing)"
        raise Failed(f"$ {shlex.join(str(part) for part in command)}\n{said}", advice)
    return done.stdout


def show(command: Sequence[str | Path]) -> str:
    """Run ``command`` on our own output, for what people read while it runs."""
    say("")
    code = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env=environment(), check=False
    ).returncode
    if code != 0:
        raise Failed(f"$ {shlex.join(str(part) for part in command)}\nended with {code}")
    return SHOWN


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The caller's environment, without what would make Python look outside .venv."""
    kept = {name: value for name, value in os.environ.items() if name not in OUTSIDE_VENV}
    return kept | {"PIP_USER": "0"} | (extra or {})


OUTSIDE_VENV = {"PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "VIRTUAL_ENV"}


def digest(paths: Iterable[Path], *words: str) -> str:
    """One hash over the files' names and bytes, and over ``words``: the key of a stamp."""
    total = hashlib.sha256("\0".join(words).encode())
    for path in sorted(paths):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(ROOT)}\0{content}\n".encode())
    return total.hexdigest()


def stamped(stamp: Path, key: str) -> bool:
    """Whether the step behind ``stamp`` was done for ``key``."""
    return stamp.exists() and stamp.read_text() == key


def set_stamp(stamp: Path, key: str) -> None:
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)


def is_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


if sys.stdout.encoding.lower().replace("-", "") != "utf8":  # LANG=C, before Python's UTF-8 mode
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
