"""A process beside the workers: Valkey, the simulator."""

import asyncio
import contextlib
import os
import signal
from typing import Protocol


class Companion(Protocol):
    """Starts before the workers, ends after them, is restarted if it dies."""

    name: str

    async def start(self) -> None:
        """Start, and return when it answers. Raises SettingError."""

    async def died(self) -> int:
        """Its exit status, once it is gone."""

    async def stop(self, within_s: float) -> None:
        """End it, by force after ``within_s``; nothing to do is no error."""


async def end_process(process: asyncio.subprocess.Process, within_s: float) -> None:
    """SIGTERM, and SIGKILL for its whole session once ``within_s`` have passed."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(within_s):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
        await process.wait()
