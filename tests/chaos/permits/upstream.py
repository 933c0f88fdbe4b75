"""The provider: `parley simulate` in a process of its own, which counts for itself.

Unless told otherwise it refuses nothing: who is over the tier is served and counted, so that one
fault does not hide the next. Its place for a request stays taken a little after the last byte, it
notices a closed socket late, and a reader that has stopped holds its answer up: the three unknowns
of the real one.
"""

import asyncio
import contextlib
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

from tests.chaos.permits.processes import ending_with_us, environment
from tests.chaos.permits.terms import ANSWERS
from tests.support.sources import ROOT

START_S = 30.0
STOP_S = 5.0
SAMPLE_S = 0.04


class Sample(NamedTuple):
    at: float  # time.monotonic()
    concurrency: int
    stalled: int  # of them: the upstream cannot write on


class Upstream:
    """Open it with ``async with Upstream.open(tier, seed)``; ``samples`` grow until its end."""

    def __init__(self, base: str, tier: int, client: httpx.AsyncClient) -> None:
        self.base = base
        self.url = f"{base}/api/paas/v4"
        self.tier = tier
        self.samples: list[Sample] = []
        self._client = client

    @classmethod
    @asynccontextmanager
    async def open(cls, tier: int, seed: int, **switches: Any) -> "AsyncIterator[Upstream]":
        theirs, ours = os.pipe()  # nothing is ever written: its end says that we are gone
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service.simulator", "--port", "0", "--tier", str(tier)),
            *("--seed", str(seed), "--jitter", "0", "--parent-fd", str(theirs)),
            cwd=ROOT, env=environment(), pass_fds=(theirs,), preexec_fn=ending_with_us,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        os.close(theirs)
        try:
            async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
                upstream = cls(await _base(process), tier, client)
                scripts = [{"match": word, "text": text} for word, text in ANSWERS.items()]
                fixed = {"enforce_tier": False, "keep_requests": 1, "scripts": scripts}
                await upstream.control(**{**fixed, **switches})
                sampling = asyncio.create_task(upstream._sample())
                try:
                    yield upstream
                finally:
                    sampling.cancel()
                    await asyncio.gather(sampling, return_exceptions=True)
        finally:
            os.close(ours)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def control(self, **changes: Any) -> None:
        """Change its switches. Raises RuntimeError with its words where it refuses."""
        reply = await self._client.post(f"{self.base}/_control", json=changes)
        if reply.status_code != 200:
            raise RuntimeError(f"the simulator refuses {sorted(changes)}: {reply.text}")

    async def stats(self) -> dict[str, Any]:
        """What it counted by itself."""
        reply = await self._client.get(f"{self.base}/stats")
        counted: dict[str, Any] = reply.json()
        return counted

    async def _sample(self) -> None:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                counted = await self.stats()
                stalled = counted["work"]["stalled"]
                self.samples.append(Sample(time.monotonic(), counted["concurrency"], stalled))
            await asyncio.sleep(SAMPLE_S)

    @property
    def concurrency(self) -> int:
        """As of the last sample."""
        return self.samples[-1].concurrency if self.samples else 0

    def utilisation(self, begin: float, end: float) -> float:
        """Share of the tier in use, as the upstream sees it; times in time.monotonic()."""
        seen = [sample.concurrency for sample in self.samples if begin <= sample.at <= end]
        if not seen:
            raise RuntimeError("the upstream did not answer in the whole window")
        return sum(seen) / len(seen) / self.tier


async def _base(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(START_S):
        while line := await process.stdout.readline():
            if found := re.search(rb"listening on (http://\S+)", line):
                return found.group(1).decode()
    raise RuntimeError("the simulator did not start; the lines above say why")
