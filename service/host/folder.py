"""PARLEY_DATA: the folder of one host's instance, and the locks in it.

    lock            held by who embeds a Valkey here, and by that Valkey itself
    instance.json   {"redis": URL, "pid": supervisor}: how other commands find it
    workers/        one locked file a worker, named by its session (workers that are dead and
                    not yet fenced leave theirs)
    appendonlydir/  Valkey's data; valkey.log, valkey.sock

A lock is flock(2)'s: it belongs to the open file, so a process that inherits the descriptor holds
it as well, and the kernel lets go of it when the last of them is dead, however it died.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from service.core.errors import SettingError

LOCK = "lock"
INSTANCE = "instance.json"
WORKERS = "workers"
PRIVATE = 0o700
# A killed supervisor's Valkey holds the lock until it has written its log and gone.
PREDECESSOR_S = 5.0
STALE_S = 3600.0  # a dead worker of a setting that is no longer used: its permits are long free
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def prepare(folder: Path) -> Path:
    """Make ``folder`` ours alone (mode 0700); its absolute path. Raises SettingError."""
    where = f"PARLEY_DATA={folder}"
    folder = folder.absolute()
    try:
        folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        about = folder.stat()
        known = (folder / LOCK).exists() or not any(folder.iterdir())
        if about.st_uid != os.getuid():
            raise SettingError(f"{where}: belongs to another account; name a folder of your own")
        if about.st_mode & OTHERS:
            if not known:
                raise SettingError(
                    f"{where}: others can read it, and it holds other files; name another one"
                )
            folder.chmod(PRIVATE)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SettingError(f"{where}: cannot be written to; name a folder that can")
    except (FileExistsError, NotADirectoryError) as error:
        raise SettingError(f"{where}: is no folder; name one") from error
    except OSError as error:
        raise SettingError(f"{where}: {error.strerror or error}; name a folder of yours") from error
    return folder


class Claim:
    """The lock on a prepared folder. ``fd`` is what its Valkey inherits."""

    def __init__(self, folder: Path, fd: int) -> None:
        self.folder = folder
        self.fd = fd

    @classmethod
    def take(cls, folder: Path, command: str) -> "Claim":
        """Claim ``folder`` for `parley command`. Raises SettingError naming who holds it."""
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + PREDECESSOR_S
        while not _locked(fd):
            held = os.pread(fd, 200, 0).decode("utf-8", "replace")
            pid, _, by = held.strip().partition(" ")
            if alive(pid) or time.monotonic() > deadline:
                os.close(fd)
                other = folder.name + "2"
                raise SettingError(
                    f"PARLEY_DATA={folder} is in use by `{by or 'parley'}` (process {pid or '?'}): "
                    f"stop that one, or start a second one with "
                    f"`PARLEY_DATA={folder.with_name(other)} PORT=0 parley {command}`"
                )
            time.sleep(0.02)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()} parley {command}\n".encode(), 0)
        return cls(folder, fd)

    def announce(self, redis_url: str) -> None:
        """Tell the other commands of this host where the instance's Redis is."""
        text = json.dumps({"redis": redis_url, "pid": os.getpid()})
        fresh = self.folder / f"{INSTANCE}.new"
        fresh.write_text(text, "utf-8")
        fresh.replace(self.folder / INSTANCE)

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            (self.folder / INSTANCE).unlink()
        os.close(self.fd)


def instance_url(folder: Path) -> str | None:
    """The Redis of the instance that runs on ``folder``, or None where none does."""
    try:
        fd = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _locked(fd):
            return None
        url = json.loads((folder / INSTANCE).read_text("utf-8"))["redis"]
        return str(url)
    except (OSError, ValueError, KeyError):
        return None
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def alive(pid: str) -> bool:
    """Whether a process of that number runs; what is no number does not."""
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


class Trace(NamedTuple):
    """A worker's file: whoever can lock it knows that the worker in it is dead."""

    session: str
    path: Path
    fd: int

    def forget(self) -> None:
        """Once its fence notice has been taken: nothing is left to say about this worker."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self.fd)


class Traces:
    """The workers' files. Without a folder that can be written to there are none.

    ``where`` names what these workers share (Redis, account, model): two servers may share a folder
    and not that, and a session is fenced where it was known.
    """

    def __init__(self, folder: Path, where: str) -> None:
        self._folder = folder / WORKERS
        self._where = hashlib.sha256(where.encode()).hexdigest()[:16]
        try:
            folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            self._folder.mkdir(mode=PRIVATE, exist_ok=True)
            self.kept = os.access(self._folder, os.W_OK | os.X_OK)
        except OSError:
            self.kept = False

    def make(self, session: str) -> int | None:
        """A locked file for a worker about to start: the descriptor that it shall inherit.

        Locked before it has its name, so that nobody finds it in between and thinks it dead.
        """
        if not self.kept:
            return None
        fresh = self._folder / f".{session}"
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.write(fd, json.dumps({"session": session, "where": self._where}).encode())
        fcntl.flock(fd, fcntl.LOCK_EX)
        fresh.rename(self._folder / session)
        return fd

    def take(self, session: str) -> Trace | None:
        """The file of a worker known to be dead, locked again."""
        return self._take(self._folder / session) if self.kept else None

    def left(self) -> Iterator[Trace]:
        """The files that dead workers of the same kind left, each locked by us now."""
        for path in sorted(self._folder.glob("[!.]*")) if self.kept else ():
            trace = self._take(path)
            if trace is not None:
                yield trace

    def _take(self, path: Path) -> Trace | None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            if _locked(fd):
                said = json.loads(os.pread(fd, 4096, 0))
                session = str(said["session"])
                if said["where"] == self._where:
                    return Trace(session, path, fd)
                if time.time() - os.fstat(fd).st_mtime > STALE_S:
                    path.unlink()
        except (ValueError, KeyError, TypeError):
            with contextlib.suppress(OSError):
                path.unlink()
        os.close(fd)
        return None
