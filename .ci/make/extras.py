"""Chromium, nginx and spin: some tests need them, nothing else does.

What is there is used. Else, on a build machine (CI=true, root, Debian), Debian's package is
installed; elsewhere Playwright's own Chromium. Where neither can be had the other tests run, and
the run ends with how many did not: tests/conftest.py counts them, and fails the run under CI.
"""

import os
import shutil

from make.python import PYTHON
from make.steps import Failed, call, is_ci
from tests.support import programs

# RUNLEVEL=1 keeps Debian's packages from starting the services that they bring.
APT = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


def chromium() -> str:
    found = programs.chromium()
    if found is None:
        try:
            if may_install():
                apt("chromium", "libatomic1")  # the latter for Playwright's own driver
            else:
                call([PYTHON, "-m", "playwright", "install", "--no-shell", "chromium"])
        except Failed as failure:
            return f"none, and none could be installed: {reason(failure)}"
        found = programs.chromium()
    if found is None:
        return "none"
    os.environ["PARLEY_CHROMIUM"] = found
    return found


def nginx() -> str:
    if programs.nginx() is None and may_install():
        try:
            apt("nginx")
        except Failed as failure:
            return f"none, and none could be installed: {reason(failure)}"
    return programs.nginx() or "none"


def spin() -> str:
    """The model checker, and a C compiler for what it writes."""
    if programs.verifier() is None and may_install():
        try:
            apt("spin", "gcc", "libc6-dev")
        except Failed as failure:
            return f"none, and none could be installed: {reason(failure)}"
    return programs.verifier() or "none"


def may_install() -> bool:
    return is_ci() and os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt(*packages: str) -> None:
    call(["apt-get", "update"], extra=APT)
    call(["apt-get", "install", "--yes", "--no-install-recommends", *packages], extra=APT)


def reason(failure: Failed) -> str:
    """The last line of what the installer said."""
    return failure.output.strip().splitlines()[-1].strip()
