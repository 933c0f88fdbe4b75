"""The rig's child processes: none outlives it, not even a stopped one.

They end with the pipes that they hold; on Linux the kernel kills them at our end as well, since a
stopped process reads no pipe.
"""

import ctypes
import os
import signal
import sys

from tests.support.instance import environ

PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork


def ending_with_us() -> None:
    """Between fork and exec."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def environment() -> dict[str, str]:
    """The machine's, without any setting of Parley's."""
    return environ()


def paused(pid: int) -> None:
    """Stop a process where it stands, as a paused virtual machine would be."""
    os.kill(pid, signal.SIGSTOP)


def resumed(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)
