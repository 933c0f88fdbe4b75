"""Feeds: in order, without a gap, whatever becomes of the hints."""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core import hints, wire
from service.core.errors import StoreUnavailable
from service.flows.feed import HELD_BYTES, PASSING, Feed, Follower
from tests.support.eventually import eventually
from tests.support.flow_rig import C
from tests.support.log_rig import Answer, ask, begin, kinds, offsets, read, send

QUEUE = wire.queue_updated(3, 9000)
THINKING = wire.answer_status(2, "thinking")


def frame(offset: int, text: str = "x", kind: str = "answer.delta") -> bytes:
    return json.dumps({"o": offset, "type": kind, "text": text}, separators=(",", ":")).encode()


def begun(top: int = 0) -> Feed:
    feed = Feed(C)
    feed.begin("e1", top, open=False)
    return feed


# -- what a feed holds ------------------------------------------------------------------------


def test_frames_are_held_in_order_and_read_from_any_place():
    feed = begun()
    assert feed.put(1, [frame(1), frame(2)])
    assert feed.put(3, [frame(3)])
    assert feed.top == 3
    assert feed.after(0) == [frame(1), frame(2), frame(3)]
    assert feed.after(2) == [frame(3)]
    assert feed.after(3) == []
    assert feed.after(9) == []


def test_a_frame_that_is_there_already_is_ignored_alone_or_among_others():
    feed = begun()
    feed.put(1, [frame(1), frame(2)])
    assert feed.put(1, [frame(1), frame(2)])
    assert feed.put(2, [frame(2), frame(3)])
    assert feed.put(1, [])
    assert feed.after(0) == [frame(1), frame(2), frame(3)]


def test_a_frame_beyond_a_gap_is_refused_and_changes_nothing():
    feed = begun()
    feed.put(1, [frame(1)])
    assert not feed.put(3, [frame(3)])
    assert (feed.top, feed.after(0)) == (1, [frame(1)])


def test_a_feed_that_begins_late_holds_nothing_older():
    feed = begun(top=7)
    assert feed.after(7) == []
    assert feed.after(6) is None
    feed.put(8, [frame(8)])
    assert feed.after(7) == [frame(8)]


def test_memory_is_bounded_and_who_is_too_far_behind_is_told():
    feed = begun()
    for offset in range(1, 3001):
        feed.put(offset, [frame(offset, "x" * 1000)])
    held = feed.after(2500)
    assert len(held) == 500
    assert feed.after(0) is None
    assert sum(map(len, feed._frames)) <= HELD_BYTES
    assert feed.after(2999) == [frame(3000, "x" * 1000)]


def test_one_frame_larger_than_the_bound_is_still_handed_on():
    feed = begun()
    feed.put(1, [frame(1, "x" * (HELD_BYTES + 1))])
    assert len(feed.after(0)) == 1
    feed.put(2, [frame(2)])
    assert feed.after(1) == [frame(2)]


async def test_every_follower_is_woken_by_what_is_new_and_by_nothing_else():
    feed = begun()
    followers = [Follower(), Follower()]
    feed.followers.update(followers)
    feed.put(1, [frame(1)])
    assert all(follower.wake.is_set() for follower in followers)
    for follower in followers:
        follower.wake.clear()
    feed.put(1, [frame(1)])
    feed.put(5, [frame(5)])
    assert not any(follower.wake.is_set() for follower in followers)


def test_an_answer_is_open_from_its_start_to_its_end():
    feed = begun()
    seen = []
    for offset, kind in enumerate(
        ["message.created", "answer.started", "answer.delta", "answer.rewound", "answer.done",
         "answer.rated", "answer.started", "message.created"], 1,
    ):  # fmt: skip
        feed.put(offset, [frame(offset, kind=kind)])
        seen.append(feed.open)
    assert seen == [False, True, True, True, False, False, True, True]


# -- what is shown in passing -----------------------------------------------------------------


def test_what_is_shown_in_passing_reaches_followers_and_who_comes_later():
    feed, follower = begun(), Follower()
    feed.followers.add(follower)
    feed.show(QUEUE)
    feed.show(wire.queue_updated(2, 5000))
    feed.show(THINKING)
    assert list(follower.passing) == [QUEUE, wire.queue_updated(2, 5000), THINKING]
    assert feed.latest() == [wire.queue_updated(2, 5000), THINKING]
    feed.show(QUEUE)
    assert feed.latest() == [THINKING, QUEUE], "what is true now comes last"


@pytest.mark.parametrize("kind", ["answer.delta", "answer.done", "answer.started"])
def test_it_is_over_when_the_answer_moves_on(kind):
    feed, follower = begun(), Follower()
    feed.followers.add(follower)
    feed.show(QUEUE)
    feed.put(1, [frame(1, kind=kind)])
    assert feed.latest() == []
    assert not follower.passing, "a slow socket would be told after the answer that it waits"


@pytest.mark.parametrize("kind", ["message.created", "answer.rated", "conversation.updated"])
def test_it_is_not_over_because_something_else_was_logged(kind):
    feed = begun()
    feed.show(QUEUE)
    feed.put(1, [frame(1, kind=kind)])
    assert feed.latest() == [QUEUE]


def test_a_socket_that_does_not_read_misses_the_oldest_of_it():
    feed, follower = begun(), Follower()
    feed.followers.add(follower)
    for position in range(PASSING + 8):
        feed.show(wire.queue_updated(position, 0))
    assert len(follower.passing) == PASSING
    assert follower.passing[-1] == wire.queue_updated(PASSING + 7, 0)


# -- withdrawing ------------------------------------------------------------------------------


async def test_withdrawn_text_reaches_nobody_who_is_behind(flows):
    worker = await flows.worker()
    async with worker.client() as client:
        told = Answer(worker.log, C, await ask(worker.log, C))
        slow = client.feed.top
        worker.feeds.wrote(client.feed, await told.append("What must not stay"))
        current = client.feed.top
        worker.feeds.wrote(client.feed, await told.finish("withdrawn"))
        assert client.feed.after(slow) is None
        assert kinds(client.feed.after(current)) == ["answer.done"]


# -- hints of other workers -------------------------------------------------------------------


async def test_what_another_worker_writes_arrives(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.client() as client:
        told = Answer(a.log, C, await ask(a.log, C))
        await told.append("One 🙂")
        await told.finish()
        await settled()
        assert read(await client.read()) == {1: "Hello", 2: "One 🙂"}
        assert client.snapshots == 1
        assert flows.memory.calls.count("attach") == 1, "nothing had to be read again"


async def test_a_lost_hint_is_read_from_the_log_at_the_next_one(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.client() as client:
        told = Answer(a.log, C, await ask(a.log, C))
        flows.air.loses = lambda hint: True
        await told.append("One")
        await told.append(" two")
        await settled()
        assert offsets(await client.read()) == [1, 2]
        flows.air.loses = lambda hint: False
        await told.append(" three")
        await settled()
        assert read(await client.read())[2] == "One two three"
        assert client.snapshots == 1


async def test_what_was_written_while_a_gap_was_read_is_not_lost(flows, settled):
    """The last frame may arrive beyond the gap, and nothing comes after it."""
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.client() as client:
        told = Answer(a.log, C, await ask(a.log, C))
        flows.air.loses = lambda hint: hint.first == 3
        await told.append("One")  # lost
        held = asyncio.Event()
        attach = b.log.attach

        async def slowly(conversation, position):
            reply = await attach(conversation, position)
            await held.wait()
            return reply

        b.log.attach = slowly
        await told.append(" two")  # the gap shows; the log is read as it stands now
        await settled()
        await told.finish()  # heard while the reply is on its way
        await settled()
        held.set()
        await settled()
        assert kinds(await client.read())[-1] == "answer.done"
        assert read(await client.read())[2] == "One two"


async def test_a_connection_that_was_away_is_made_good_without_any_further_hint(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.client() as client:
        flows.air.loses = lambda hint: True
        told = Answer(a.log, C, await ask(a.log, C))
        await told.append("One")
        await told.finish()
        await settled()
        assert await client.read() == []
        b.feeds.missed()
        await settled()
        assert read(await client.read())[2] == "One"


async def test_hints_that_came_before_the_log_was_read_are_not_lost(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.feeds.use(C) as feed:
        attached = await b.log.attach(C, None)
        told = Answer(a.log, C, await ask(a.log, C))
        await told.append("One")
        await settled()
        assert feed.top == -1
        feed.begin(attached.epoch, attached.top, open=False)
        assert read(feed.after(0)) == {1: "Hello", 2: "One"}


async def test_a_gap_among_them_is_read_from_the_log(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.feeds.use(C) as feed:
        attached = await b.log.attach(C, None)
        flows.air.loses = lambda hint: hint.first == 1
        told = Answer(a.log, C, await ask(a.log, C))
        await told.append("One")
        await settled()
        feed.begin(attached.epoch, attached.top, open=False)
        await settled()
        assert read(feed.after(0)) == {1: "Hello", 2: "One"}


async def test_hints_before_the_log_is_read_are_bounded(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.feeds.use(C) as feed:
        attached = await b.log.attach(C, None)
        told = Answer(a.log, C, await ask(a.log, C))
        for _ in range(300):
            await told.append("x")
        await settled()
        assert len(feed._early) <= 64
        feed.begin(attached.epoch, attached.top, open=False)
        await settled()
        assert read(feed.after(0))[2] == "x" * 300


async def test_what_was_missed_before_the_log_was_read_is_read_after(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.feeds.use(C) as feed:
        attached = await b.log.attach(C, None)
        flows.air.loses = lambda hint: True
        await ask(a.log, C)
        b.feeds.missed()
        feed.begin(attached.epoch, attached.top, open=False)
        await settled()
        assert feed.top == 2


async def test_who_attaches_further_than_the_feed_is_has_it_read_on(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.client() as first:
        flows.air.loses = lambda hint: True
        await ask(a.log, C)
        await settled()
        assert await first.read() == []
        async with b.client():
            await settled()
            assert kinds(await first.read()) == ["message.created", "answer.started"]


async def test_where_the_log_has_no_more_what_is_missing_the_sockets_attach_again(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.client() as client, b.client() as other:
        flows.air.loses = lambda hint: True
        told = Answer(a.log, C, await ask(a.log, C))
        await told.append("One")
        flows.air.loses = lambda hint: False
        await told.finish("withdrawn")
        await settled()
        assert client.feed.losses == 1
        for one in (client, other):
            assert await one.read() == []
            assert one.snapshots == 2
            assert one.cursor == client.feed.top
        await send(a.log, C, "question-2")
        await settled()
        assert kinds(await client.read()) == ["message.created", "answer.started"]


async def test_another_epoch_makes_every_socket_attach_again(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.client() as client:
        await ask(a.log, C)
        await settled()
        del flows.memory.conversations[C]
        await begin(a.log, C, epoch="e2")
        await send(a.log, C, "Anew")
        await settled()
        assert client.feed.epoch == "e2"
        await client.read()
        assert client.snapshots == 2


async def test_a_log_that_lost_its_tail_makes_every_socket_attach_again(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.client() as client:
        await ask(a.log, C)
        await settled()
        assert client.feed.top == 2
        del flows.memory.conversations[C]
        await begin(a.log, C)
        b.feeds.missed()  # whoever lost its tail was away
        await settled()
        assert (client.feed.top, client.feed.losses) == (0, 1)
        assert await client.read() == []
        await send(a.log, C, "Anew")
        await settled()
        assert read(await client.read())[1] == "Anew"
        assert client.snapshots == 2


async def test_while_redis_is_away_it_keeps_trying_to_read_what_is_missing(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with b.client() as client:
        flows.air.loses = lambda hint: True
        await ask(a.log, C)
        flows.memory.fault = lambda call: "before" if call == "attach" else ""
        b.feeds.missed()
        await settled()
        assert await client.read() == []
        flows.memory.fault = lambda call: ""
        await eventually(lambda: client.feed.top == 2)


async def test_the_feed_of_a_conversation_that_is_gone_stops_asking(flows, settled):
    b = await flows.worker(session="b")
    async with b.client():
        flows.memory.conversations.clear()
        b.feeds.missed()
        await settled()
        assert b.feeds._healing == {}


# -- coming and going -------------------------------------------------------------------------


async def test_the_last_who_leaves_ends_the_feed_and_its_channel(flows):
    b = await flows.worker(session="b")
    async with b.client() as one:
        async with b.client() as other:
            assert one.feed is other.feed
            assert len(b.feeds) == 1
        assert flows.air.listeners[C]
    assert len(b.feeds) == 0
    assert not flows.air.listeners[C]


async def test_a_gap_that_is_being_read_when_everybody_leaves_leaves_no_task(flows, settled):
    b = await flows.worker(session="b")
    async with b.client():
        flows.memory.fault = lambda call: "before"
        b.feeds.missed()
        await settled()
    await settled()
    assert b.feeds._healing == {}
    assert not [t for t in asyncio.all_tasks() if "_read_missing" in repr(t)]


async def test_following_while_redis_is_away_is_told_and_leaves_nothing(flows):
    b = await flows.worker(session="b")
    b.channels.away = True
    with pytest.raises(StoreUnavailable):
        async with b.feeds.use(C):
            raise AssertionError("it follows nothing")
    assert len(b.feeds) == 0
    b.channels.away = False
    async with b.client() as client:
        assert client.feed.top == 0


async def test_a_stop_and_a_question_reach_who_runs_the_turn(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    stops, questions = [], []
    a.feeds.stopped = lambda conversation, m: stops.append((conversation, m))
    a.feeds.asked = questions.append
    async with a.feeds.use(C):
        await ask(a.log, C)
        await b.log.stop(C, 2)
        await b.feeds.ask(C)
        await settled()
    assert stops == [(C, 2)]
    assert questions == [C]


async def test_what_is_shown_reaches_the_sockets_here_and_elsewhere_once(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with a.client() as here, b.client() as there:
        followers = []
        for client in (here, there):
            followers.append(Follower())
            client.feed.followers.add(followers[-1])
        await a.feeds.show(here.feed, QUEUE)
        await settled()
        assert [list(f.passing) for f in followers] == [[QUEUE], [QUEUE]]
        assert there.feed.latest() == [QUEUE]


async def test_a_reply_before_anybody_read_the_log_is_left_to_the_log(flows, settled):
    a = await flows.worker()
    async with a.feeds.use(C) as feed:
        a.feeds.wrote(feed, (await send(a.log, C, known=-1)).written)
        assert feed.top == -1
        feed.begin("e1", 0, open=False)
        await settled()
        assert feed.top == 2


# -- any order, any loss ----------------------------------------------------------------------


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["append", "send", "finish"]), max_size=15), st.data())
async def test_hints_lost_doubled_and_out_of_order_never_show(flows, settled, writes, data):
    conversation = f"shuffled-{len(flows.memory.conversations)}"
    a, b = await flows.worker(), await flows.worker(session="b")
    await begin(a.log, conversation)
    flows.air.loses = lambda hint: True  # nothing arrives by itself
    async with b.client(conversation) as client:
        said = len(flows.air.said)
        told = Answer(a.log, conversation, await ask(a.log, conversation))
        for i, write in enumerate(writes):
            if write == "append":
                await told.append(f"{i} ")
            elif write == "send":
                await send(a.log, conversation, f"message-{i}")
            else:
                following = (await told.finish()).turn
                following = following or await ask(a.log, conversation, f"message-{i}")
                told = Answer(a.log, conversation, following)
        spoken = [hint for _, hint in flows.air.said[said:] if isinstance(hint, hints.Logged)]
        arriving = data.draw(st.lists(st.sampled_from(spoken), max_size=20)) + spoken[-1:]
        for hint in arriving:
            b.feeds._receive(client.feed, hint)
            if data.draw(st.booleans()):
                await settled()
        await settled()
        assert await client.read() == await flows.entries(conversation)
        assert client.snapshots == 1
