"""Run one target of the Makefile: `python3 .ci/bootstrap.py demo`.

Only this file may meet an old Python, so it alone keeps to a syntax that any Python 3 reads: it
finds a Python >= 3.11 and hands over to .ci/make, which needs nothing but the standard library.
"""

import os
import subprocess
import sys

NEEDED = (3, 11)
CANDIDATES = ("python3.14", "python3.13", "python3.12", "python3.11")
ASK = "import sys; sys.exit(sys.version_info < (3, 11))"


def newer():
    """The first candidate on the PATH that runs and is new enough, or None."""
    for name in CANDIDATES:
        try:
            if subprocess.call([name, "-c", ASK], stderr=subprocess.DEVNULL) == 0:
                return name
        except OSError:
            continue
    return None


def main():
    if sys.version_info < NEEDED:
        name = newer()
        if name is not None:
            os.execvp(name, [name] + sys.argv)  # noqa: RUF005 - read by old Pythons, too
        sys.exit(
            "Parley needs Python 3.11 or later; " + sys.executable + " is older.\n"
            "Install one (Debian 12: apt install python3 python3-venv; macOS: brew install "
            "python@3.13), or name yours: make PYTHON=/path/to/python3.13 ..."
        )
    here = os.path.dirname(os.path.abspath(__file__))
    sys.dont_write_bytecode = True
    sys.path[:0] = [here, os.path.dirname(here)]
    from make import commands

    sys.exit(commands.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
