"""A command of ours as a real process, with all that it starts.

Every process that comes of it inherits a mark in its environment, by which `processes` finds them
all, also those that changed their parent, their session or their name.
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.support.sources import ROOT

MARK = "TEST_RUN"
WITHIN_S = 20.0  # two imports of everything, on two cores that others use as well
SITES = """
[[site]]
key = "pk_test"
name = "Test"
origins = ["http://127.0.0.1:*"]
"""


class Running:
    """`with Running(["serve"], folder, {...}) as run:`; whatever is left at the end is killed."""

    def __init__(
        self,
        words: list[str],
        folder: Path,
        settings: Mapping[str, str],
        *,
        module: str = "service",
        ignoring: signal.Signals | None = None,
        terminal: int | None = None,
    ) -> None:
        """``ignoring``: a signal that is ignored at the start, as shells and nohup have it.
        ``terminal``: the descriptor of one for its output; it ends when that one closes.
        """

        def as_from_a_terminal() -> None:
            if terminal is not None:
                fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN if number == ignoring else signal.SIG_DFL)

        self.mark = uuid.uuid4().hex
        self.folder = folder
        self._paths = [folder / f"{self.mark}.{name}" for name in ("out", "err")]
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PARLEY_")}
        environ |= {MARK: self.mark, "PYTHONPATH": str(ROOT), "PARLEY_DATA": str(folder / "data")}
        environ |= settings
        with self._paths[0].open("wb") as out, self._paths[1].open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                stdin=subprocess.DEVNULL, env=environ, cwd=folder,
                stdout=out if terminal is None else terminal,
                stderr=err if terminal is None else terminal,
                start_new_session=True, preexec_fn=as_from_a_terminal,
            )  # fmt: skip

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *error: object) -> None:
        for pid in [self._process.pid, *self.processes()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def out(self) -> str:
        return self._paths[0].read_text("utf-8", "replace")

    @property
    def err(self) -> str:
        return self._paths[1].read_text("utf-8", "replace")

    def until_up(self) -> int:
        """Until the command says that it serves; the port."""
        match = self.until(r"http://[\w.]+:(\d+)/")
        return int(match[1])

    def until(self, pattern: str, *, after: int = 0) -> re.Match[str]:
        """Until ``pattern`` stands in what it has said past ``after`` characters."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            ended = self._process.poll() is not None
            for said in (self.out[after:], self.err):
                match = re.search(pattern, said)
                if match:
                    return match
            assert not ended, f"it ended without {pattern!r}:\n{self.out}\n{self.err}"
            assert time.monotonic() < deadline, f"no {pattern!r}:\n{self.out}\n{self.err}"
            time.sleep(0.01)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self, within: float = WITHIN_S) -> int:
        """Its exit status, within so many seconds."""
        return self._process.wait(within)

    def processes(self) -> set[int]:
        """Every living process that carries our mark; Valkey, which writes over its environment,
        by the folder in its title.
        """
        mark, folder = f"{MARK}={self.mark}", f"unixsocket:{self.folder}/"
        return {pid for pid in _all_pids() if mark in _environ(pid) or folder in _command(pid)}

    def until_nothing_is_left(self, within: float = 3.0) -> None:
        deadline = time.monotonic() + within
        while left := self.processes():
            assert time.monotonic() < deadline, {pid: _command(pid) for pid in left}
            time.sleep(0.01)

    def started(self) -> list[dict[str, object]]:
        """The log's lines about started workers, oldest first."""
        return [line for line in self.log() if line["event"] == "worker_started"]

    def log(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]


def ask(port: int, path: str = "/", timeout: float = 5.0) -> dict[str, object]:
    """One request on a connection of its own."""
    with httpx.Client(trust_env=False, timeout=timeout) as client:
        answer: dict[str, object] = client.get(f"http://127.0.0.1:{port}{path}").json()
        return answer


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environ(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_text("utf-8", "replace")
    except OSError:
        return ""


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace").replace("\0", " ")
    except OSError:
        return "gone"
