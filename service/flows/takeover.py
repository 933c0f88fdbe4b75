"""Find turns whose owner is gone, and adopt them.

Each worker looks through the index of leases, partition by partition. A turn is adopted only where
its lease had run out at the worker's *previous* look, and only after looks without a break for as
long as a lease lives: after a pause of Redis all leases look expired at first, and their healthy
owners need a moment to renew them.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from random import Random

import structlog

from service.core.errors import StoreError
from service.core.model import Adopted, Position, Site
from service.flows.job import Job
from service.flows.ports import Orphans
from service.flows.turn import Turns

LOOK_S = 1.0  # between looks, a fifth more or less, so that workers do not march in step
UNBROKEN_S = 3.0  # of looks before the first adoption: a lease's life
MOST = 16  # adoptions of a partition in one look: the others are for the next worker

log = structlog.get_logger("parley.takeover")


class Takeover:
    """Adopts orphaned turns for ``turns``. ``run`` it in a task."""

    def __init__(
        self,
        orphans: Orphans,
        turns: Turns,
        sites: Mapping[str, Site],
        *,
        partitions: int,
        willing: Callable[[], bool],
    ) -> None:
        self._orphans = orphans
        self._turns = turns
        self._sites = sites
        self._partitions = partitions
        self._willing = willing  # false while the worker drains
        self._random = Random()
        self._unbroken_since: float | None = None
        self._looked: dict[int, int] = {}  # partition -> the server's time at the last look, ms
        self.adopted = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S * self._random.uniform(0.8, 1.2))
            try:
                await self._look()
            except StoreError:
                self._unbroken_since = None

    async def _look(self) -> None:
        looks = (self._orphans.expired(p, most=MOST) for p in range(self._partitions))
        results = await asyncio.gather(*looks)
        now = time.monotonic()
        if self._unbroken_since is None:
            self._unbroken_since = now
        ready = now - self._unbroken_since >= UNBROKEN_S and self._willing()
        for partition, (time_ms, names) in enumerate(results):
            looked_ms = self._looked.get(partition, 0)
            self._looked[partition] = time_ms
            for conversation in names if ready else ():
                await self._adopt(conversation, looked_ms)

    async def _adopt(self, conversation: str, looked_ms: int) -> None:
        if self._turns.runs(conversation):
            return  # ours, and late with its renewal: it is revived, not adopted
        adopted = await self._orphans.adopt(conversation, looked_ms=looked_ms)
        if adopted is None:
            return
        self.adopted += 1
        log.info("adopted", conversation=conversation, attempt=adopted.turn.attempt)
        self._turns.start(self._job(conversation, adopted))

    def _job(self, conversation: str, adopted: Adopted) -> Job:
        site = self._sites.get(adopted.site) or Site(key=adopted.site, name="", origins=())
        return Job(
            conversation=conversation,
            site=site,
            turn=adopted.turn,
            flow=f"{site.key} {conversation}",
            shown=adopted.text,
            position=Position(adopted.epoch, adopted.top),
        )
