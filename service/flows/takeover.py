"""Find turns whose owner is gone, and adopt them.

There are three ways to learn that a turn has no owner any more.

* **It looks so.** Each worker looks through the index of leases, partition by partition. A turn is
  adopted only where its lease had run out at the worker's *previous* look, and only after looks
  without a break for as long as a lease lives: after a pause of Redis all leases look expired at
  first, and their healthy owners need a moment to renew them.
* **Somebody saw the owner end.** A supervisor tells its workers when another dies (`bereave`).
  There is no doubt, so there is nothing to wait for: the fence refuses what a dead worker's
  connection may still have on its way.
* **The owner gave it away**, because it drains: on the conversation's channel, and by a lease of 0.

Whoever has one of the conversation's sockets goes first, so that the answer is written where it is
read; the others wait a moment. Two that want the same turn do no harm: the second finds it held.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from random import Random

import structlog

from service.core.errors import StoreError
from service.core.model import Adopted, Position, Site
from service.flows.feed import Feeds
from service.flows.job import Job
from service.flows.ports import Orphans
from service.flows.turn import Turns

LOOK_S = 1.0  # between looks, a fifth more or less, so that workers do not march in step
UNBROKEN_S = 3.0  # of looks before the first adoption: a lease's life
MOST = 16  # adoptions of a partition in one look: the others are for the next worker
OF_ONE = 1024  # open turns of one dead session in a partition; more than any worker has in all
COURTESY_S = (0.15, 0.3)  # for the worker that has a socket of the conversation

log = structlog.get_logger("parley.takeover")


class Takeover:
    """Adopts orphaned turns for ``turns``. ``run`` it in a task."""

    def __init__(
        self,
        orphans: Orphans,
        turns: Turns,
        feeds: Feeds,
        sites: Mapping[str, Site],
        *,
        partitions: int,
        willing: Callable[[], bool],
    ) -> None:
        self._orphans = orphans
        self._turns = turns
        self._feeds = feeds
        self._sites = sites
        self._partitions = partitions
        self._willing = willing  # false while the worker drains
        self._random = Random()
        self._unbroken_since: float | None = None
        self._looked: dict[int, int] = {}  # partition -> the server's time at the last look, ms
        self._bereft: asyncio.Queue[str] = asyncio.Queue()
        self._given: asyncio.Queue[str] = asyncio.Queue()
        self.adopted = 0
        feeds.given_away = self._given.put_nowait

    def bereave(self, session: str) -> None:
        """The worker ``session`` is dead, for certain: somebody saw its process end."""
        self._bereft.put_nowait(session)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_for_ever())
            group.create_task(self._inherit_for_ever())
            group.create_task(self._accept_for_ever())

    # -- it looks so ----------------------------------------------------------------------

    async def _look_for_ever(self) -> None:
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
        unbroken = now - self._unbroken_since >= UNBROKEN_S
        late: dict[str, int] = {}
        for partition, (time_ms, found) in enumerate(results):
            looked_ms = self._looked.get(partition, 0)
            self._looked[partition] = time_ms
            late |= {name: looked_ms for name, lease in found if unbroken or lease == 0}
        await self._adopt_all(late)

    # -- somebody saw it end --------------------------------------------------------------

    async def _inherit_for_ever(self) -> None:
        while True:
            session = await self._bereft.get()
            try:
                await self._inherit(session)
            except StoreError as error:  # their leases run out, too
                log.warning("not inherited", session=session, detail=str(error)[:200])

    async def _inherit(self, session: str) -> None:
        looks = (self._orphans.owned(p, session, most=OF_ONE) for p in range(self._partitions))
        results = await asyncio.gather(*looks)
        await self._adopt_all({name: 0 for names in results for name in names}, dead=session)

    # -- it was given away ----------------------------------------------------------------

    async def _accept_for_ever(self) -> None:
        """Only who follows a conversation hears of it here; the others look."""
        while True:
            conversation = await self._given.get()
            try:
                await self._adopt_all({conversation: 0})
            except StoreError as error:
                log.warning("not accepted", conversation=conversation, detail=str(error)[:200])

    # -- adoption -------------------------------------------------------------------------

    async def _adopt_all(self, late: Mapping[str, int], *, dead: str = "") -> None:
        """Adopt these conversations' turns; each is named with the time of the look before."""
        if not late or not self._willing():
            return
        ours = [name for name in late if self._feeds.is_followed(name)]
        for name in ours:
            await self._adopt(name, late[name], dead)
        if len(ours) < len(late):
            await asyncio.sleep(self._random.uniform(*COURTESY_S))
            for name in late.keys() - set(ours):
                if self._willing():
                    await self._adopt(name, late[name], dead)

    async def _adopt(self, conversation: str, looked_ms: int, dead: str) -> None:
        if self._turns.runs(conversation):
            return  # ours, and late with its renewal: it is revived, not adopted
        adopted = await self._orphans.adopt(conversation, looked_ms=looked_ms, dead=dead)
        if adopted is None:
            return
        self.adopted += 1
        log.info(
            "adopted", conversation=conversation, attempt=adopted.turn.attempt,
            spent=adopted.turn.spent, dead=dead or None,
        )  # fmt: skip
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
