"""Tokens and handles: nothing of them is stored but a digest, and a copied one is noticed."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.core.errors import BadToken
from service.store import keys
from service.store.sessions import Session, Sessions, digest
from tests.support.log_rig import ServerWorld, send

SITE = "pk_test"
DAYS = 30
DAY_S = 86_400


class Rig:
    def __init__(self, world: ServerWorld) -> None:
        self.world = world
        self.log = world.log("a")
        self.sessions = Sessions(world.commands, self.log, days=DAYS)

    async def start(self, resume: str | None = None, site: str = SITE) -> Session:
        return await self.sessions.start(site, resume=resume, retention_s=90 * DAY_S)


@pytest.fixture
async def rig(redis_url) -> AsyncIterator[Rig]:
    async with ServerWorld.at(redis_url) as world:
        yield Rig(world)


# -- tokens -----------------------------------------------------------------------------------


async def test_a_new_customer_gets_a_token_a_handle_and_a_conversation(rig):
    session = await rig.start()
    assert not session.resumed
    bearer = await rig.sessions.check(session.token)
    assert (bearer.conversation, bearer.site) == (session.conversation, SITE)
    assert (await rig.log.attach(session.conversation, None)).site == SITE


async def test_token_handle_and_conversation_are_long_random_and_never_the_same(rig):
    sessions = [await rig.start() for _ in range(50)]
    secrets = {s.token for s in sessions} | {s.resume for s in sessions}
    assert len(secrets) == 100
    assert all(len(secret) == 43 for secret in secrets), "256 bits in base64"
    assert len({s.conversation for s in sessions}) == 50


async def test_no_secret_is_stored_anywhere(rig, redis):
    first = await rig.start()
    second = await rig.start(first.resume)
    await rig.sessions.check(second.token)
    stored = b"\n".join([part async for part in _everything(redis)])
    for secret in (first.token, first.resume, second.token, second.resume):
        assert secret.encode() not in stored
        assert digest(secret).encode() in stored


async def _everything(redis) -> AsyncIterator[bytes]:
    """All keys and all that they hold."""
    async for key in redis.scan_iter():
        yield key
        match await redis.type(key):
            case b"string":
                yield await redis.get(key)
            case b"hash":
                for field, value in (await redis.hgetall(key)).items():
                    yield field
                    yield value
            case b"stream":
                for _, fields in await redis.xrange(key):
                    for value in fields.values():
                        yield value
            case b"zset":
                for member in await redis.zrange(key, 0, -1):
                    yield member
            case kind:
                raise AssertionError(f"{key!r} is a {kind!r}: look into it here")


async def test_a_token_serves_again_and_at_once(rig):
    session = await rig.start()
    bearers = await asyncio.gather(*(rig.sessions.check(session.token) for _ in range(20)))
    assert {bearer.conversation for bearer in bearers} == {session.conversation}


@pytest.mark.parametrize("token", ["", "x", "ü" * 50, "\ud800", "a" * 100_000])
async def test_an_unknown_token_is_bad(rig, token):
    with pytest.raises(BadToken):
        await rig.sessions.check(token)


async def test_a_handle_is_no_token_and_a_token_no_handle(rig):
    session = await rig.start()
    with pytest.raises(BadToken):
        await rig.sessions.check(session.resume)
    assert not (await rig.start(session.token)).resumed


async def test_each_use_of_a_token_begins_its_idle_days_anew(rig, redis):
    session = await rig.start()
    key = keys.token(digest(session.token))
    assert await redis.ttl(key) == DAYS * DAY_S
    await redis.expire(key, 10)
    await rig.sessions.check(session.token)
    assert await redis.ttl(key) == DAYS * DAY_S


async def test_a_token_of_a_conversation_that_is_no_more_is_bad(rig, redis):
    session = await rig.start()
    await redis.delete(keys.conversation(session.conversation).meta)
    with pytest.raises(BadToken):
        await rig.sessions.check(session.token)


# -- handles ----------------------------------------------------------------------------------


async def test_a_handle_leads_back_to_its_conversation_and_gives_a_successor(rig):
    first = await rig.start()
    await send(rig.log, first.conversation, "Hello")
    second = await rig.start(first.resume)
    assert (second.conversation, second.resumed) == (first.conversation, True)
    assert second.resume != first.resume
    assert second.token != first.token


async def test_a_new_session_does_not_end_the_ones_before(rig):
    first = await rig.start()
    second = await rig.start(first.resume)
    for session in (first, second):
        bearer = await rig.sessions.check(session.token)
        assert bearer.conversation == first.conversation


async def test_two_tabs_with_the_same_handle_both_come_back(rig):
    first = await rig.start()
    tabs = [await rig.start(first.resume) for _ in range(2)]
    assert [tab.resumed for tab in tabs] == [True, True]
    await rig.world.advance(10 * DAY_S * 1000)  # neither successor was used: a reply may be lost
    assert (await rig.start(first.resume)).resumed


async def test_each_tab_goes_on_with_a_handle_of_its_own(rig):
    first = await rig.start()
    one, other = await rig.start(first.resume), await rig.start(first.resume)
    for _ in range(5):
        await rig.world.advance(DAY_S * 1000)
        one, other = await rig.start(one.resume), await rig.start(other.resume)
        assert one.resumed and other.resumed
    assert {one.conversation, other.conversation} == {first.conversation}


async def test_many_tabs_at_once_may_use_one_handle(rig):
    first = await rig.start()
    tabs = await asyncio.gather(*(rig.start(first.resume) for _ in range(100)))
    assert all(tab.resumed for tab in tabs)
    assert all([(await rig.start(tab.resume)).resumed for tab in tabs[-20:]])
    assert (await rig.start(first.resume)).resumed, "it is good for a minute more"


async def test_handles_are_bounded_in_number_and_the_newest_stay_good(rig, redis):
    session = await rig.start()
    handles = []
    for _ in range(300):
        await rig.world.advance(1)
        session = await rig.start(session.resume)
        handles.append(session.resume)
    assert await redis.hlen(keys.conversation(session.conversation).handles) <= 256
    assert (await rig.start(handles[-1])).resumed
    assert (await rig.start(handles[-50])).resumed
    assert not (await rig.start(handles[0])).resumed


async def test_a_handle_is_good_for_a_minute_after_its_successor_was_used(rig):
    first = await rig.start()
    second = await rig.start(first.resume)
    await rig.start(second.resume)
    await rig.world.advance(60_000)
    assert (await rig.start(first.resume)).resumed


async def test_a_later_use_is_a_copy_in_strange_hands_and_ends_all_handles_and_tokens(rig):
    first = await rig.start()
    second = await rig.start(first.resume)
    third = await rig.start(second.resume)
    await rig.world.advance(60_001)
    stranger = await rig.start(first.resume)
    assert not stranger.resumed
    assert stranger.conversation != first.conversation
    for session in (first, second, third):
        with pytest.raises(BadToken):
            await rig.sessions.check(session.token)
        assert not (await rig.start(session.resume)).resumed
    await rig.sessions.check(stranger.token)


async def test_the_conversation_itself_stays_when_its_handles_end(rig):
    first = await rig.start()
    await send(rig.log, first.conversation, "Hello")
    second = await rig.start(first.resume)
    await rig.start(second.resume)
    await rig.world.advance(60_001)
    await rig.start(first.resume)
    assert (await rig.log.attach(first.conversation, None)).newest == 2


@pytest.mark.parametrize("handle", ["", "unknown", "ü" * 50, "\ud800", "a" * 100_000])
async def test_an_unknown_handle_gives_a_new_conversation(rig, handle):
    session = await rig.start(handle)
    assert not session.resumed
    await rig.sessions.check(session.token)


async def test_a_handle_of_another_site_gives_a_new_conversation_and_stays_good(rig):
    ours = await rig.start()
    theirs = await rig.start(ours.resume, site="pk_other")
    assert not theirs.resumed
    assert theirs.conversation != ours.conversation
    assert (await rig.sessions.check(theirs.token)).site == "pk_other"
    assert (await rig.start(ours.resume)).resumed


async def test_a_handle_of_a_conversation_that_is_no_more_gives_a_new_one(rig, redis):
    first = await rig.start()
    names = keys.conversation(first.conversation)
    await redis.delete(names.meta, names.handles)
    second = await rig.start(first.resume)
    assert not second.resumed
    assert second.conversation != first.conversation


async def test_tokens_and_handles_end_after_the_idle_days(rig, redis):
    session = await rig.start()
    for key in (
        keys.token(digest(session.token)), keys.handle(digest(session.resume)),
        keys.conversation(session.conversation).handles,
    ):  # fmt: skip
        assert await redis.ttl(key) == DAYS * DAY_S
