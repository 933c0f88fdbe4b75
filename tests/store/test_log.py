"""The log's own concerns on the server; what it decides is in tests/contracts/test_log.py."""

import asyncio

import pytest

from service.core.errors import RateLimited
from service.flows.ports import Log as LogPort
from service.store import keys
from service.store.connection import Commands
from service.store.log import FUNCTIONS, LEASE_MS, Log, library
from tests.support.log_rig import Answer, ask, begin, changed, decoded, send
from tests.support.twins.log import MemoryLog

C = "conversation-1"


@pytest.fixture
async def log(redis_url):
    """A log with the server's own clock."""
    async with Commands.open(redis_url, name="test") as commands:
        await commands.wait_up()
        yield Log(commands, session="a", functions=library())


def test_the_log_and_its_twin_fit_the_port():
    for port in LogPort.__mro__:
        for name in (name for name in vars(port) if not name.startswith("_")):
            assert callable(getattr(Log, name))
            assert callable(getattr(MemoryLog, name))


async def test_messages_and_leases_carry_the_servers_time(log, redis):
    before = await _now_ms(redis)
    await begin(log, C)
    accepted = await send(log, C)
    after = await _now_ms(redis)
    assert before <= decoded(accepted.written.frames)[0]["message"]["time"] <= after
    [(_, lease)] = await redis.zrange(keys.conversation(C).leases, 0, -1, withscores=True)
    assert before + LEASE_MS <= lease <= after + LEASE_MS


async def _now_ms(redis) -> int:
    seconds, micros = await redis.time()
    return seconds * 1000 + micros // 1000


async def test_loading_brings_all_functions_so_that_nobody_waits_for_them(log, redis):
    await redis.function_flush()
    await log.load()
    [listed] = await redis.function_list()
    assert len(listed[listed.index(b"functions") + 1]) == len(FUNCTIONS)


async def test_a_limit_is_told_in_milliseconds_and_whole_seconds(log):
    await begin(log, C)
    await send(log, C, "message-1", a_minute=2)
    await send(log, C, "message-2", a_minute=2)
    with pytest.raises(RateLimited) as refused:
        await send(log, C, "message-3", a_minute=2)
    assert 29_000 < refused.value.retry_ms <= 30_000
    assert refused.value.values == {"seconds": 30}


async def test_a_stolen_moment_between_two_workers_never_gives_two_owners(redis_url):
    """Fifty workers adopt one turn at once: one gets it, and only it can write."""
    async with Commands.open(redis_url, name="test") as commands:
        await commands.wait_up()
        workers = [Log(commands, session=f"w{i}", functions=library()) for i in range(50)]
        await begin(workers[0], C)
        turn = await ask(workers[0], C)
        far = 2**52
        adopted = await asyncio.gather(*(w.adopt(C, looked_ms=far) for w in workers[1:]))
        turns = [(w, a.turn) for w, a in zip(workers[1:], adopted, strict=True) if a]
        fences = [t.fence for _, t in turns]
        assert sorted(fences) == list(range(turn.fence + 1, turn.fence + 50))
        newest = max(turns, key=lambda pair: pair[1].fence)
        results = await asyncio.gather(
            *(Answer(w, C, t).append("x", done=False) for w, t in [(workers[0], turn), *turns]),
            return_exceptions=True,
        )
        written = [r for r in results if not isinstance(r, Exception)]
        assert len(written) == 1
        assert (await newest[0].attach(C, None)).text == "x"


async def test_numbers_that_lua_could_round_come_through_whole(log, redis):
    """A crc of all ones, and times of thirteen digits, as text and as numbers."""
    await begin(log, C)
    turn = await ask(log, C)
    await log.append(C, 0, turn, frames=[], text="x", length=1, crc32=0xFFFFFFFF)
    assert await redis.hget(keys.conversation(C).meta, "crc") == b"4294967295"
    lease = await redis.hget(keys.conversation(C).meta, "lease")
    assert lease.isdigit() and len(lease) == 13
    told = Answer(log, C, changed(turn, step=1))
    assert decoded((await told.finish()).frames)[-1]["crc32"] == 0xFFFFFFFF


async def test_a_conversation_whose_log_expired_goes_on_at_the_next_offset(log, redis):
    await begin(log, C)
    told = Answer(log, C, await ask(log, C, "question-1"))
    await told.finish()
    await redis.delete(keys.conversation(C).log)
    accepted = await send(log, C, "question-2", known=3)
    assert [frame["o"] for frame in decoded(accepted.written.frames)] == [4, 5]


async def test_expired_partitions_are_asked_with_one_key_each(log):
    time_ms, names = await log.expired(255, most=16)
    assert time_ms > 1_700_000_000_000
    assert names == []
