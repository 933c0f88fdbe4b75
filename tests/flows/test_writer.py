"""The writer: one append at a time, each text logged once, whatever Redis does meanwhile."""

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core.errors import StepMissing, TurnLost
from service.core.model import Source
from service.flows import writer as module
from service.flows.writer import AnswerWriter
from tests.support.eventually import eventually
from tests.support.flow_rig import C, FlowWorker
from tests.support.log_rig import ask, begin, changed, decoded, kinds, offsets, read, send

pieces = st.text("ab🙂é", min_size=1, max_size=4)


class Writing:
    """A writer that runs, on a worker that owns a turn."""

    def __init__(self, worker: FlowWorker, writer: AnswerWriter, task: asyncio.Task[None]) -> None:
        self.worker = worker
        self.writer = writer
        self.task = task

    @property
    def appends(self) -> int:
        return self.worker.log._memory.calls.count("append")


@asynccontextmanager
async def writing(worker: FlowWorker, conversation: str = C, **turn) -> AsyncIterator[Writing]:
    async with worker.client(conversation) as client:
        opened = changed(await ask(worker.log, conversation), **turn)
        writer = AnswerWriter(worker.log, worker.feeds, client.feed, opened, "")
        task = asyncio.create_task(writer.run())
        try:
            yield Writing(worker, writer, task)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


# -- coalescing -------------------------------------------------------------------------------


async def test_the_first_piece_does_not_wait_for_a_second(flows, settled):
    async with writing(await flows.worker()) as w:
        w.writer.add("One")
        await settled()
        assert read(await flows.entries())[2] == "One"


async def test_one_append_is_in_flight_and_what_comes_meanwhile_goes_in_the_next(flows, settled):
    async with writing(await flows.worker()) as w:
        gate, append, in_flight = asyncio.Event(), w.worker.log.append, []

        async def slowly(*args, **more):
            in_flight.append(more["text"])
            await gate.wait()
            return await append(*args, **more)

        w.worker.log.append = slowly
        for piece in ("One", " two", " three", " four"):
            w.writer.add(piece)
            await settled()
        assert in_flight == ["One"]
        gate.set()
        await w.writer.settled()
        assert in_flight == ["One", " two three four"]
        assert read(await flows.entries())[2] == "One two three four"


async def test_cuts_stay_in_their_place_between_texts(flows):
    async with writing(await flows.worker()) as w:
        w.writer.add("One two")
        w.writer.cut(3)
        w.writer.add(" three")
        w.writer.add(" four")
        w.writer.cut(9)
        await w.writer.finish("stop")
        assert read(await flows.entries())[2] == "One three"
        assert kinds(await flows.entries())[2:] == [
            "answer.delta", "answer.rewound", "answer.delta", "answer.rewound", "answer.done",
        ]  # fmt: skip


async def test_nothing_added_is_nothing_logged(flows, settled):
    async with writing(await flows.worker()) as w:
        w.writer.add("")
        await settled()
        await w.writer.settled()
        assert w.appends == 0


async def test_what_others_wrote_meanwhile_is_in_the_feed_in_order(flows, settled):
    a, b = await flows.worker(), await flows.worker(session="b")
    flows.air.loses = lambda hint: True
    async with writing(a) as w:
        await send(b.log, C, "question-2")
        w.writer.add("One")
        await w.writer.settled()
        await settled()
        assert w.writer.feed.after(2) == (await flows.entries())[2:]


# -- ends -------------------------------------------------------------------------------------


async def test_finishing_waits_for_what_was_added_and_ends_with_length_and_sum(flows):
    async with writing(await flows.worker()) as w:
        w.writer.add("One 🙂")
        assert await w.writer.finish("stop", sources=(Source("T", "https://x.example/"),)) is None
        done = decoded(await flows.entries())[-1]
        assert (done["reason"], done["length"]) == ("stop", 6)
        assert done["sources"] == [{"title": "T", "link": "https://x.example/"}]
        read(await flows.entries())


async def test_finishing_tells_the_turn_that_follows(flows):
    async with writing(await flows.worker()) as w:
        await send(w.worker.log, C, "question-2")
        following = await w.writer.finish("stop")
        assert following.answers == (3,)


async def test_a_mark_in_the_reply_to_a_write_is_a_stop(flows):
    async with writing(await flows.worker()) as w:
        await w.worker.log.stop(C, 2)
        assert not w.writer.stopped.is_set()
        w.writer.add("One")
        await w.writer.settled()
        assert w.writer.stopped.is_set()


async def test_a_turn_that_was_adopted_marked_is_stopped_from_the_start(flows):
    async with writing(await flows.worker(), cancelled=True) as w:
        assert w.writer.stopped.is_set()


async def test_a_turn_that_another_worker_took_ends_the_writer(flows):
    a, b = await flows.worker(), await flows.worker(session="b")
    async with writing(a) as w:
        w.writer.add("One")
        await w.writer.settled()
        assert await b.log.adopt(C, looked_ms=2**53)
        w.writer.add(" zombie")
        with pytest.raises(TurnLost):
            await asyncio.wait_for(w.task, 5)
        assert "zombie" not in read(await flows.entries())[2]


# -- Redis away, and back with less -------------------------------------------------------------


async def test_while_redis_is_away_the_text_gathers_and_then_goes_at_once(flows, settled):
    async with writing(await flows.worker()) as w:
        flows.memory.fault = lambda call: "before"
        w.writer.add("One")
        await settled()
        for i in range(100):
            w.writer.add(f" {i}")
        await settled()
        assert kinds(await flows.entries()) == ["message.created", "answer.started"]
        flows.memory.fault = lambda call: ""
        await w.writer.settled()
        expected = "One" + "".join(f" {i}" for i in range(100))
        assert read(await flows.entries())[2] == expected
        assert kinds(await flows.entries()).count("answer.delta") == 2


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(pieces | st.integers(0, 6), max_size=8),
    st.lists(st.sampled_from(["", "", "before", "after"]), max_size=40),
)
async def test_lost_calls_and_lost_replies_cost_nothing_and_double_nothing(flows, story, faults):
    conversation = f"faulty-{len(flows.memory.conversations)}"
    worker = await flows.worker()
    await begin(worker.log, conversation)
    told = ""
    async with writing(worker, conversation) as w:
        fate = iter(faults)
        flows.memory.fault = lambda call: next(fate, "") if call in WRITES else ""
        for event in story:
            if isinstance(event, int):
                w.writer.cut(event)
                told = told[:event]
            else:
                w.writer.add(event)
                told += event
            await asyncio.sleep(0)
        await w.writer.finish("stop")
        flows.memory.fault = lambda call: ""
        entries = await flows.entries(conversation)
        assert offsets(entries) == list(range(1, len(entries) + 1))
        assert read(entries)[2] == told
        assert w.writer.feed.after(2) == entries[2:]


WRITES = ("append", "rewind", "finish")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(pieces | st.integers(0, 6), min_size=2, max_size=8),
    st.data(),
    st.lists(st.sampled_from(["", "before", "after"]), max_size=20),
)
async def test_steps_that_the_log_lost_are_written_again_at_the_same_offsets(
    flows, story, data, faults
):
    """Redis came back from its disk with less than it had said."""
    conversation = f"forgetful-{len(flows.memory.conversations)}"
    worker = await flows.worker()
    await begin(worker.log, conversation)
    async with writing(worker, conversation) as w:
        saved, told = [], ""
        for event in story:
            saved.append(copy.deepcopy(flows.memory.conversations[conversation]))
            if isinstance(event, int):
                w.writer.cut(event)
                told = told[:event]
            else:
                w.writer.add(event)
                told += event
            await w.writer.settled()
        before = await flows.entries(conversation)
        flows.memory.conversations[conversation] = data.draw(st.sampled_from(saved))
        fate = iter(faults)
        flows.memory.fault = lambda call: next(fate, "") if call in WRITES else ""
        w.writer.add("!")
        await w.writer.finish("stop")
        flows.memory.fault = lambda call: ""
        entries = await flows.entries(conversation)
        assert entries[: len(before)] == before
        assert offsets(entries) == list(range(1, len(entries) + 1))
        assert read(entries)[2] == told + "!"


@pytest.mark.parametrize("faults", [["", "", "after"], ["", "after", ""], ["", "before", "after"]])
async def test_a_reply_that_is_lost_while_the_log_is_made_good_is_asked_for_again(flows, faults):
    async with writing(await flows.worker()) as w:
        empty = copy.deepcopy(flows.memory.conversations[C])
        w.writer.add("One")
        await w.writer.settled()
        flows.memory.conversations[C] = empty
        fate = iter(faults)
        flows.memory.fault = lambda call: next(fate, "") if call in WRITES else ""
        w.writer.add(" two")
        await w.writer.finish("stop")
        assert read(await flows.entries())[2] == "One two"
        assert kinds(await flows.entries()).count("answer.delta") == 2


async def test_redis_may_lose_its_tail_more_than_once(flows):
    async with writing(await flows.worker()) as w:
        empty = copy.deepcopy(flows.memory.conversations[C])
        for piece in ("One", " two", " three"):
            w.writer.add(piece)
            await w.writer.settled()
            flows.memory.conversations[C] = copy.deepcopy(empty)
        await w.writer.finish("stop")
        assert read(await flows.entries())[2] == "One two three"


async def test_what_was_lost_before_this_turn_cannot_be_made_good_here(flows):
    worker = await flows.worker()
    lost = None
    async with writing(worker) as w:
        lost = copy.deepcopy(flows.memory.conversations[C])
        w.writer.add("One")
        await send(worker.log, C, "question-2")
        following = await w.writer.finish("stop")
        writer = AnswerWriter(worker.log, worker.feeds, w.writer.feed, following, "")
        flows.memory.conversations[C] = lost
        task = asyncio.create_task(writer.run())
        writer.add("Two")
        with pytest.raises(StepMissing):
            await asyncio.wait_for(task, 5)


async def test_pauses_between_tries_grow_and_then_stay(flows, monkeypatch):
    monkeypatch.undo()
    assert list(module.PAUSES_S) == sorted(module.PAUSES_S)
    assert module.PAUSES_S[-1] <= 0.5, "a second after Redis is back the text goes on"
    async with writing(await flows.worker()) as w:
        flows.memory.fault = lambda call: "before" if flows.memory.calls.count(call) < 3 else ""
        w.writer.add("One")
        await eventually(lambda: w.writer.feed.top == 3)
