"""Keys: one slot of a cluster for all that one function touches, and a life that ends."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import wire
from service.store import keys
from tests.support.cluster import ClusterValkey
from tests.support.log_rig import Answer, ServerWorld, ask, begin, send

SLOTS = 16384


def crc16(data: bytes) -> int:
    """CRC-16/XMODEM, which a Redis Cluster hashes keys with."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc


def slot(key: str) -> int:
    """The slot of ``key``: of what stands in its first braces, where that is not empty."""
    opened = key.find("{")
    closed = key.find("}", opened + 1) if opened >= 0 else -1
    return crc16((key[opened + 1 : closed] if closed > opened + 1 else key).encode()) % SLOTS


def test_the_slot_is_computed_as_the_servers_do():
    assert crc16(b"123456789") == 0x31C3  # the check value that the cluster specification gives
    assert slot("{user1000}.following") == slot("{user1000}.followers")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_all_keys_of_a_conversation_its_channel_and_its_leases_share_one_slot(name):
    assert len({slot(key) for key in keys.conversation(name)}) == 1


def test_conversations_spread_over_all_256_partitions():
    names = [f"conversation-{i}" for i in range(20_000)]
    spread = [keys.partition(name) for name in names]
    counts = [spread.count(number) for number in range(keys.PARTITIONS)]
    assert min(counts) > 40
    assert max(counts) < 130
    slots = {slot(keys.leases(number)) for number in range(keys.PARTITIONS)}
    assert len(slots) > 250  # 256 tags draw from 16,384 slots


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_the_partition_of_a_conversation_never_changes(name):
    number = keys.partition(name)
    assert 0 <= number < 256
    assert keys.conversation(name).leases == keys.leases(number)


def test_the_partition_of_known_names_is_what_it_always_was():
    """Conversations that are stored already must be found again by every later version."""
    assert [keys.partition(name) for name in ("a", "conversation-1", "üñí🙂")] == [67, 252, 149]


def test_names_that_differ_have_keys_that_differ():
    one, other = keys.conversation("a"), keys.conversation("b")
    assert not set(one) & set(other) - {one.leases}


def test_all_keys_of_the_permits_share_one_slot():
    names = keys.permits("main", "glm-4-flashx-250414")
    assert len({slot(key) for key in names}) == 1
    assert slot(keys.permits_inbox("main", "glm-4-flashx-250414", "session")) == slot(names.meta)


def test_every_kind_of_key_stands_in_the_table_at_the_head_of_the_module():
    source = Path(keys.__file__).read_text()
    documented = set(re.findall(r"`parley:\{pNN\}:(\w+)", source)) | {"channel"}
    assert {key.split(":")[2] for key in keys.conversation("c")} == documented
    for key in (keys.token("d"), keys.handle("d"), keys.worker_card("s")):
        assert f"`{key.rsplit(':', 1)[0]}:<" in source


async def test_every_key_of_a_conversation_has_an_end(redis_url, redis):
    async with ServerWorld.at(redis_url) as world:
        log = world.log("a")
        await begin(log, "c")
        told = Answer(log, "c", await ask(log, "c", "question-1"))
        await told.append("One")
        await log.redeem("c", used="", successor="h1", lives_s=60)
        open_life = {key: await redis.ttl(key) for key in await redis.keys("*")}
        names = keys.conversation("c")
        assert open_life == {
            names.meta.encode(): 3600, names.ids.encode(): 3600, names.messages.encode(): 3600,
            names.log.encode(): keys.LOG_OPEN_S, names.text.encode(): keys.LOG_OPEN_S,
            names.handles.encode(): 60, names.leases.encode(): keys.LEASE_INDEX_S,
        }  # fmt: skip
        await told.finish()
        assert await redis.ttl(names.log) == keys.LOG_IDLE_S
        assert not await redis.exists(names.text, names.leases)
        await log.notice("c", 0, wire.notice("answer_failed", "Sorry.", "en"))
        assert await redis.ttl(names.log) == keys.LOG_IDLE_S
        assert await redis.ttl(names.messages) == 3600


async def test_a_conversation_is_kept_as_long_after_its_newest_message_as_the_site_wants(
    redis_url, redis
):
    async with ServerWorld.at(redis_url) as world:
        log = world.log("a")
        await log.begin("c", epoch="e1", site="pk_test", retention_s=100)
        names = keys.conversation("c")
        for key in (names.meta, names.ids, names.messages):
            await redis.expire(key, 10)
        await send(log, "c")
        assert {await redis.ttl(key) for key in (names.meta, names.ids, names.messages)} == {100}


def test_a_cluster_refuses_a_function_that_touches_two_slots():
    """So the log's contract suite, run on such a node, proves that no function of it does."""
    crossing = """#!lua name=crossing
    redis.register_function('crossing', function(keys, args)
      redis.call('SET', keys[1], 'x')
      return redis.call('GET', args[1])
    end)"""
    one, other = keys.conversation("a"), keys.conversation("b")
    assert slot(one.meta) != slot(other.meta)
    with ClusterValkey() as server, server.client() as client:
        client.function_load(crossing)
        assert client.fcall("crossing", 1, one.meta, one.text) is None
        with pytest.raises(Exception, match="slot"):
            client.fcall("crossing", 1, one.meta, other.text)
