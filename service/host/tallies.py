"""Where the workers of one supervisor keep their metrics, so that each can answer for all.

prometheus-client maps a file a process and metric. Counters of a dead worker still count; its
gauges must not. The folder goes with its supervisor; one that a killed supervisor left goes when
the next one starts.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from service.host.folder import alive

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client's own name for it
PREFIX = "metrics-"


@contextlib.contextmanager
def tallies(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of workers that keep their metrics under ``folder``; none if it can't be."""
    mine = folder / f"{PREFIX}{os.getpid()}"
    try:
        for left in folder.glob(f"{PREFIX}*"):
            if not alive(left.name.removeprefix(PREFIX)):
                shutil.rmtree(left, ignore_errors=True)
        shutil.rmtree(mine, ignore_errors=True)
        mine.mkdir(mode=0o700, parents=True)
    except OSError:
        yield {}  # each worker answers for itself alone
        return
    try:
        yield {VARIABLE: str(mine.absolute())}
    finally:
        shutil.rmtree(mine, ignore_errors=True)


def forget_gauges(folder: str | None, pid: int) -> None:
    """What a dead worker had at the moment of its death counts no more."""
    if folder:
        for path in Path(folder).glob(f"gauge_live*_{pid}.db"):
            path.unlink(missing_ok=True)
