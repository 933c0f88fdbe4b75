"""Takeover: orphans are found and finished, and a healthy owner is never robbed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from service.flows import takeover as module
from service.flows import turn as turns_module
from service.flows.feed import Follower
from service.flows.takeover import Takeover
from service.store import keys
from tests.support.eventually import eventually
from tests.support.flow_rig import SITE, C, FlowWorker
from tests.support.log_rig import Answer, ask, begin, decoded, read
from tests.support.twins.memory import Memory

LEASE_MS = 3000


@pytest.fixture(autouse=True)
def fast_looks(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.002)
    monkeypatch.setattr(module, "UNBROKEN_S", 0.01)
    monkeypatch.setattr(turns_module, "RENEW_S", 0.001)


class Watch:
    """A worker's takeover that runs."""

    def __init__(self, memory: Memory, takeover: Takeover) -> None:
        self.memory = memory
        self.takeover = takeover
        self.willing = True

    async def looks(self, count: int) -> None:
        """Until it has looked so many times more."""
        wanted = self.memory.calls.count("expired") + count * keys.PARTITIONS
        await eventually(lambda: self.memory.calls.count("expired") >= wanted, every=0.001)


@asynccontextmanager
async def watching(worker: FlowWorker) -> AsyncIterator[Watch]:
    watch: Watch
    takeover = Takeover(
        worker.log,
        worker.turns,
        worker.feeds,
        {SITE.key: SITE},
        partitions=keys.PARTITIONS,
        willing=lambda: watch.willing,
    )
    watch = Watch(worker.log._memory, takeover)
    tasks = [asyncio.create_task(takeover.run()), asyncio.create_task(worker.turns.hold())]
    try:
        yield watch
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def orphan(flows, conversation: str = C, text: str = "One") -> None:
    """A turn whose owner is gone in mid-sentence."""
    gone = await flows.worker(session="gone")
    await begin(gone.log, conversation)
    told = Answer(gone.log, conversation, await ask(gone.log, conversation, "Hello there"))
    await told.append(text)


async def test_an_orphan_is_adopted_and_its_answer_finished(flows):
    await orphan(flows)
    worker = await flows.worker(["One", " two."], session="b")
    async with watching(worker) as watch:
        flows.memory.now_ms += LEASE_MS + 1
        await watch.looks(1)
        flows.memory.now_ms += 1
        await eventually(lambda: watch.takeover.adopted == 1)
        await worker.quiet()
        assert read(await flows.entries())[2] == "One two."
        assert decoded(await flows.entries())[-1]["reason"] == "stop"
        await watch.looks(3)
        assert watch.takeover.adopted == 1


async def test_a_turn_with_a_live_lease_is_left_alone(flows):
    await orphan(flows)
    worker = await flows.worker(session="b")
    async with watching(worker) as watch:
        await watch.looks(5)
        flows.memory.now_ms += LEASE_MS - 1
        await watch.looks(5)
        assert watch.takeover.adopted == 0


async def test_a_lease_that_ran_out_since_the_last_look_is_given_one_look_more(flows):
    """After a pause of Redis all leases look expired; their owners need a moment to renew them."""
    await orphan(flows)
    worker = await flows.worker(["One", " two."], session="b")
    owner = flows.memory.conversations[C]
    expired, adopt, adopted = worker.log.expired, worker.log.adopt, []

    async def after_a_pause(partition: int, *, most: int):
        if not adopted and flows.memory.now_ms < owner.lease:
            flows.memory.now_ms = owner.lease + 60_000
        return await expired(partition, most=most)

    async def beside_a_late_renewal(conversation: str, **how):
        adopted.append(await adopt(conversation, **how))
        owner.lease = flows.memory.now_ms + LEASE_MS
        return adopted[-1]

    async with watching(worker) as watch:
        await watch.looks(5)
        worker.log.expired, worker.log.adopt = after_a_pause, beside_a_late_renewal
        await watch.looks(5)
        assert adopted == [None]


async def test_a_turn_of_its_own_that_is_late_with_its_renewal_is_revived_not_adopted(flows):
    gate = asyncio.Event()
    worker = await flows.worker(["One", gate, " two"])
    async with worker.client() as client, watching(worker) as watch:
        await worker.say(client, "Hello there")
        await eventually(lambda: client.feed.top >= 3)
        flows.memory.fault = lambda call: "before" if call == "renew" else ""
        flows.memory.now_ms += 10 * LEASE_MS
        await watch.looks(5)
        flows.memory.fault = lambda call: ""
        await watch.looks(5)
        gate.set()
        await worker.quiet()
        assert watch.takeover.adopted == 0
        assert read(await flows.entries())[2] == "One two"
        assert [f["attempt"] for f in decoded(await flows.entries()) if "attempt" in f] == [1]


async def test_a_worker_that_is_leaving_adopts_nothing(flows):
    await orphan(flows)
    worker = await flows.worker(["One."], session="b")
    async with watching(worker) as watch:
        watch.willing = False
        flows.memory.now_ms += LEASE_MS + 1
        await watch.looks(1)
        flows.memory.now_ms += 1
        await watch.looks(5)
        assert watch.takeover.adopted == 0
        watch.willing = True
        await eventually(lambda: watch.takeover.adopted == 1)


async def test_after_redis_was_away_it_looks_for_a_while_before_it_adopts(flows, monkeypatch):
    await orphan(flows)
    worker = await flows.worker(["One."], session="b")
    async with watching(worker) as watch:
        started = time.monotonic()
        await eventually(lambda: time.monotonic() > started + 0.4)
        monkeypatch.setattr(module, "UNBROKEN_S", 0.3)
        flows.memory.fault = lambda call: "before" if call == "expired" else ""
        await watch.looks(2)
        flows.memory.now_ms += LEASE_MS + 1
        back = time.monotonic()
        flows.memory.fault = lambda call: ""
        await watch.looks(1)
        flows.memory.now_ms += 1
        await eventually(lambda: watch.takeover.adopted == 1)
        assert time.monotonic() - back >= 0.3


async def test_many_workers_that_look_adopt_an_orphan_once(flows):
    await orphan(flows)
    workers = [await flows.worker(["One", " two."], session=f"w{i}") for i in range(4)]
    async with watching(workers[0]) as a, watching(workers[1]) as b, watching(workers[2]) as c:
        flows.memory.now_ms += LEASE_MS + 1
        for watch in (a, b, c):
            await watch.looks(1)
        flows.memory.now_ms += 1
        await eventually(lambda: a.takeover.adopted + b.takeover.adopted + c.takeover.adopted)
        for worker in workers:
            await worker.quiet()
        await a.looks(3)
        assert a.takeover.adopted + b.takeover.adopted + c.takeover.adopted == 1
        assert read(await flows.entries())[2] == "One two."
        assert flows.memory.conversations[C].turn is None


async def test_many_orphans_are_all_finished(flows):
    names = [f"orphan-{i}" for i in range(30)]
    for name in names:
        await orphan(flows, name)
    worker = await flows.worker(*[["One", " two."] for _ in names], session="b")
    async with watching(worker) as watch:
        flows.memory.now_ms += LEASE_MS + 1
        await watch.looks(1)
        flows.memory.now_ms += 1
        await eventually(lambda: watch.takeover.adopted == 30)
        await worker.quiet()
        for name in names:
            assert read(await flows.entries(name))[2] == "One two."


async def test_an_orphan_of_a_site_that_is_declared_no_more_still_ends(flows):
    gone = await flows.worker(session="gone")
    await gone.log.begin("strange", epoch="e1", site="pk_gone", retention_s=60)
    await ask(gone.log, "strange", "Hello there")
    worker = await flows.worker(["Hi."], session="b")
    async with watching(worker) as watch:
        flows.memory.now_ms += LEASE_MS + 1
        await watch.looks(1)
        flows.memory.now_ms += 1
        await eventually(lambda: watch.takeover.adopted == 1)
        await worker.quiet()
        assert read(await flows.entries("strange"))[2] == "Hi."


async def test_a_dead_worker_s_turn_is_adopted_before_its_lease_ends(flows):
    await orphan(flows)
    worker = await flows.worker(["One", " two."], session="b")
    async with watching(worker) as watch:
        watch.takeover.bereave("somebody else")
        await watch.looks(2)
        assert watch.takeover.adopted == 0
        watch.takeover.bereave("gone")
        await eventually(lambda: watch.takeover.adopted == 1)
        await worker.quiet()
        assert read(await flows.entries())[2] == "One two."


async def test_the_worker_with_a_socket_of_the_conversation_goes_first(flows, monkeypatch):
    monkeypatch.setattr(module, "COURTESY_S", (0.2, 0.3))
    await orphan(flows)
    near = await flows.worker(["One", " two."], session="near")
    far = await flows.worker(["One", " two."], session="far")
    async with (
        near.client() as client,
        watching(far) as far_watch,
        watching(near) as near_watch,
    ):
        client.feed.followers.add(Follower())
        far_watch.takeover.bereave("gone")
        near_watch.takeover.bereave("gone")
        await eventually(lambda: near_watch.takeover.adopted == 1)
        await far_watch.looks(3)
        await eventually(lambda: flows.memory.calls.count("adopt") == 2)
        assert far_watch.takeover.adopted == 0


async def test_a_turn_given_away_is_adopted_at_once_by_who_follows_it(flows, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 3600.0)
    gate = asyncio.Event()
    leaving = await flows.worker(["One", gate, " three"], session="a")
    other = await flows.worker(["One", " two."], session="b")
    async with leaving.client() as client, other.client(), watching(other) as watch:
        await leaving.say(client, "Hello there")
        await eventually(lambda: client.feed.top >= 3)
        assert await leaving.turns.drain(0.01) == 1
        await eventually(lambda: watch.takeover.adopted == 1)
        await other.quiet()
        assert read(await flows.entries())[2] == "One two."
        assert flows.memory.conversations[C].turn is None


async def test_a_turn_given_away_that_nobody_follows_needs_no_unbroken_looks(flows, monkeypatch):
    monkeypatch.setattr(module, "UNBROKEN_S", 3600.0)
    gone = await flows.worker(session="gone")
    await begin(gone.log, C)
    told = Answer(gone.log, C, await ask(gone.log, C, "Hello there"))
    await told.append("One")
    await gone.log.handover(C, told.turn)
    worker = await flows.worker(["One", " two."], session="b")
    async with watching(worker) as watch:
        await eventually(lambda: watch.takeover.adopted == 1)
        await worker.quiet()
        assert read(await flows.entries())[2] == "One two."


async def test_redis_that_is_away_when_a_worker_dies_leaves_it_to_the_leases(flows):
    await orphan(flows)
    worker = await flows.worker(["One", " two."], session="b")
    async with watching(worker) as watch:
        flows.memory.fault = lambda call: "before" if call == "owned" else ""
        watch.takeover.bereave("gone")
        await eventually(lambda: "owned" in flows.memory.calls)
        flows.memory.fault = lambda call: ""
        await watch.looks(2)
        assert watch.takeover.adopted == 0
        flows.memory.now_ms += LEASE_MS + 1
        await watch.looks(1)
        flows.memory.now_ms += 1
        await eventually(lambda: watch.takeover.adopted == 1)
