"""Orders of events that break the tier unless the script is careful: found by the model checker."""

import time

import pytest

from service.core.queueing import HOLD_S, MARGIN_S, HeldPermit
from service.store.permit_book import Book
from service.store.permit_steps import Timing
from tests.support.permit_rig import Crew

TIMING = Timing(linger_s=1.0)
ASK = ("a", 1, "live", "flow", -1, 60_000)


@pytest.fixture
async def crew(redis_url):
    async with Crew(redis_url, tier=1, timing=TIMING) as crew:
        yield crew


class Session:
    """A worker's side, word by word, so that a reply can be lost and a step can be late."""

    def __init__(self, crew: Crew, name: str) -> None:
        self._crew, self.name = crew, name
        self.number, self._epoch, self._roster = 0, "", []

    async def register(self, held=(), waiters=(), *more, number=None):
        self.number = number or self.number + 1
        words = ["x", 1, 1, int(not self._epoch), 0, 0, 0, len(self._roster), *self._roster]
        words += [len(held), *(word for permit in held for word in (permit, "live", 5))]
        words += [len(waiters), *(w for one in waiters for w in (one, "live", "flow", -1, "", ""))]
        return await self.step(*words, *more)

    async def step(self, *words):
        head = [self.number, self._epoch, 0, 0, *TIMING.words()]
        reply = await self._crew.office.step(self.name, [*head, *words])
        self._epoch, self._roster = reply.epoch, reply.roster or self._roster
        return reply


async def together(crew: Crew, *names: str) -> list[Session]:
    """Sessions that know of each other, after the first start's linger."""
    sessions = [Session(crew, name) for name in names]
    for session in [*sessions, *sessions]:
        await session.register()
    await crew.leap(1.5)
    return sessions


async def test_what_a_lost_step_gave_back_is_no_part_of_what_came_back(crew):
    a, b = await together(crew, "a", "b")
    [granted] = (await a.step(*ASK)).grants
    await b.step(*ASK)
    await a.step("r", granted.permit, "ok")  # whose reply is lost; b has the permit, and uses it
    await crew.redis.flushall()
    reply = await a.register([granted.permit], [2], "r", granted.permit, "ok")
    assert reply.grants == []


async def test_a_registration_that_a_newer_one_overtook_changes_nothing(crew):
    a, b = await together(crew, "a", "b")
    late = a.number + 1
    [granted] = (await a.register([], [1], number=late + 1)).grants
    assert (await a.register([], [], number=late)).status == "register"
    assert (await crew.state()).sessions["a"].held == 1, granted
    assert (await b.step(*ASK)).grants == []


async def test_a_new_epoch_waits_a_linger_for_whoever_is_fenced_in_it_known_or_not(crew):
    (c,) = await together(crew, "c")
    await c.step(*ASK)
    await crew.redis.flushall()
    b = Session(crew, "b")
    await b.register()  # the epoch begins
    await crew.leap(0.9)
    await crew.office.fence("c")  # its request was cut just now
    await crew.leap(0.3)
    assert (await b.step(*ASK)).grants == []
    await crew.leap(1.0)
    assert (await crew.state()).sessions["b"].held == 1


def test_a_permit_whose_deadline_is_past_by_the_margin_is_not_registered():
    book = Book(tier=1, timing=Timing(), ring=lambda: None)
    now = time.monotonic()
    for name, deadline in (("e:1", now - MARGIN_S), ("e:2", now - MARGIN_S / 2), ("e:3", now + 9)):
        book.held[name] = HeldPermit(name, "live", now - HOLD_S, 0, deadline)
    words = book.compose(now, beat=False).words
    assert [word for word in words if str(word).startswith("e:")] == ["e:2", "e:3"]
