"""Fixtures for tests of real processes."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.host.running import SITES, Running

Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start("serve", "orderly", PORT="8001")`: a command, with one of tests/host/apps.py."""
    if not Path("/proc").is_dir():
        pytest.skip(f"finds its processes in /proc, which {sys.platform} has not")
    sites = tmp_path / "sites.toml"
    sites.write_text(SITES)
    settings = {
        "PARLEY_SITES": str(sites),
        "PARLEY_HOST": "127.0.0.1",
        "PARLEY_MODEL_URL": "http://127.0.0.1:1",
        "PARLEY_DRAIN_S": "5",
        "PORT": "0",
    }
    with ExitStack() as stack:

        def begin(
            command: str,
            application: str = "orderly",
            *,
            ignoring: signal.Signals | None = None,
            terminal: int | None = None,
            **changed: str,
        ) -> Running:
            run = Running(
                [command, application],
                tmp_path,
                settings | changed,
                module="tests.host.launch",
                ignoring=ignoring,
                terminal=terminal,
            )
            return stack.enter_context(run)

        yield begin
