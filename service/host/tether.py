"""Runs a program that must not outlive its parent: `python tether.py PARENT_PID PROGRAM ARG...`

It stands between the supervisor and a program that knows nothing of the supervisor (Valkey).
Linux: the kernel is asked to send SIGTERM when the parent dies (PDEATHSIG, which survives exec),
and the program takes this process's place: same pid, no process in between. Elsewhere there is no
such request. This process stays, holds the program as its child, passes signals on, and ends it
when standard input, a pipe that the parent holds, comes to its end.

Run as a file by an isolated interpreter, so only the standard library; `die_with_parent` is what
the workers, which are ours, call for themselves.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

PR_SET_PDEATHSIG = 1  # prctl(2)
ENDING_S = 3.0  # a Valkey without snapshots is gone within milliseconds


def die_with_parent(parent: int, number: signal.Signals) -> bool:
    """Have the kernel send ``number`` when ``parent`` dies; False where the kernel cannot.

    Exits at once if the parent is dead already: the kernel would never tell.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        return False
    if os.getppid() != parent:
        os._exit(1)
    return True


def hold(command: list[str]) -> int:
    """Run ``command`` until it ends or standard input does; its exit status."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)

    def pass_on(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(ENDING_S)
        child.kill()

    threading.Thread(target=watch, daemon=True).start()
    return child.wait()


def main(arguments: list[str]) -> int:
    parent, *command = arguments
    if die_with_parent(int(parent), signal.SIGTERM):
        os.execv(command[0], command)
    status = hold(command)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
