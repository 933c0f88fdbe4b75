"""Where the programs are that some tests need and no Python package brings: Chromium, nginx, and
the model checker spin, which writes C and so needs a compiler.

Only the standard library: `.ci/bootstrap.py` asks here too, before anything is installed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Where Playwright keeps the browsers that it downloads, newest last.
PLAYWRIGHT_CACHES = (".cache/ms-playwright", "Library/Caches/ms-playwright")
PLAYWRIGHT_BINARIES = (
    "chrome-linux*/chrome",
    "chrome-mac*/Chromium.app/Contents/MacOS/Chromium",
    "chrome-mac*/Google Chrome for Testing.app/Contents/MacOS/Google Chrome for Testing",
)
MAC_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def chromium(environ: Mapping[str, str] = os.environ) -> str | None:
    """A Chromium to drive: PARLEY_CHROMIUM, one on the PATH, or Playwright's; else None.

    A PARLEY_CHROMIUM that is no program is an error, not a reason to take another.
    """
    named = environ.get("PARLEY_CHROMIUM", "")
    if named:
        found = shutil.which(named, path=environ.get("PATH"))
        if found is None:
            raise FileNotFoundError(f"PARLEY_CHROMIUM={named} is not a program that can be run")
        return found
    for name in CHROMIUM_NAMES:
        found = shutil.which(name, path=environ.get("PATH"))
        if found is not None:
            return found
    return next(_installed(environ), None)


def _installed(environ: Mapping[str, str]) -> Iterator[str]:
    home = Path(environ.get("HOME", "/nonexistent"))
    caches = [home / cache for cache in PLAYWRIGHT_CACHES]
    if environ.get("PLAYWRIGHT_BROWSERS_PATH", "0") != "0":
        caches.insert(0, Path(environ["PLAYWRIGHT_BROWSERS_PATH"]))
    for cache in caches:
        for folder in sorted(cache.glob("chromium-*"), reverse=True):
            for pattern in PLAYWRIGHT_BINARIES:
                yield from (str(path) for path in folder.glob(pattern))
    if sys.platform == "darwin" and Path(MAC_CHROME).exists():
        yield MAC_CHROME


def nginx(environ: Mapping[str, str] = os.environ) -> str | None:
    """nginx, also where /usr/sbin is not on the PATH of an ordinary account; else None."""
    search = os.pathsep.join([environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("nginx", path=search)


SPIN_REMEDY = "apt-get install spin gcc"


def spin(environ: Mapping[str, str] = os.environ) -> str | None:
    """The model checker; None, too, where another program has its name."""
    found = shutil.which("spin", path=environ.get("PATH"))
    if found is None:
        return None
    try:
        said = subprocess.run([found, "-V"], capture_output=True, check=False, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found if said.startswith(b"Spin Version 6") else None


def cc(environ: Mapping[str, str] = os.environ) -> str | None:
    """A C compiler: CC, or what the machine calls cc, gcc or clang."""
    for name in (environ.get("CC", ""), "cc", "gcc", "clang"):
        found = shutil.which(name, path=environ.get("PATH")) if name else None
        if found is not None:
            return found
    return None


def verifier(environ: Mapping[str, str] = os.environ) -> str | None:
    """What `tests/verify` needs: spin, if there is a compiler for what it writes; else None."""
    return spin(environ) if cc(environ) is not None else None
