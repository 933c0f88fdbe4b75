"""Turns: from a customer's message to the answer's end in the log, whatever comes between."""

import asyncio
from functools import partial

import pytest
from structlog.testing import capture_logs

from service.core import wire
from service.core.commands import RetryAnswer, StopAnswer
from service.core.errors import ModelOverloaded, ModelUnreachable, StoreUnavailable
from service.core.model import Finished, Position, Source, Usage
from service.flows.feed import Feed
from service.flows.job import Job
from tests.support.eventually import eventually
from tests.support.flow_rig import SITE, C, FlowWorker
from tests.support.log_rig import ask, begin, decoded, kinds, offsets, read
from tests.support.twins.log import MemoryLog

SEARCHED = Finished("stop", Usage(), (Source("Norway", "https://kestrel.example/norway"),))


def ends(frames: list[bytes]) -> list[str]:
    return [f["reason"] for f in decoded(frames) if f["type"] == "answer.done"]


def notices(frames: list[bytes]) -> list[str]:
    created = [f["message"] for f in decoded(frames) if f["type"] == "message.created"]
    return [message["code"] for message in created if message["author"] == "notice"]


# -- the way of a turn ------------------------------------------------------------------------


async def test_a_question_is_answered_with_exactly_what_the_model_said(flows):
    worker = await flows.worker(["We ship ", "to ", "Norway 🇳🇴", " in 3 days."])
    async with worker.client() as client:
        [ack] = await worker.say(client, "Do you ship to Norway?", id="id-00001")
        assert ack == {
            "type": "message.ack", "id": "id-00001", "m": 1, "offset": 1, "duplicate": False,
        }  # fmt: skip
        await worker.quiet()
        frames = await client.read()
        assert read(frames) == {
            1: "Do you ship to Norway?", 2: "We ship to Norway 🇳🇴 in 3 days.",
        }  # fmt: skip
        assert ends(frames) == ["stop"]
        assert worker.ended == ["stop"]
        assert worker.permits.held == {}
        assert worker.permits.outcomes == ["ok"]
        assert (worker.model.open, worker.model.cut) == (0, 0)


async def test_nothing_is_shown_that_is_not_in_the_log(flows, settled):
    gate = asyncio.Event()
    worker = await flows.worker(["One", " two", gate, " three"])
    async with worker.client() as client:
        append = worker.log.append

        async def watched(*args, **more):
            written = await append(*args, **more)
            assert (await flows.entries())[: client.cursor] == client.frames
            return written

        worker.log.append = watched
        await worker.say(client, "Hello")
        await eventually(lambda: client.feed.top >= 3)
        assert await client.read() == await flows.entries()
        gate.set()
        await worker.quiet()
        assert await client.read() == await flows.entries()


async def test_the_request_asks_for_the_sites_own_limits_and_tells_who_asks_only_by_a_number(
    flows, settled
):
    worker = await flows.worker(["Yes."])
    async with worker.client() as client:
        await worker.say(client, "Do you ship to Norway?")
        await worker.quiet()
        [request] = worker.model.requests
        assert request.max_tokens == 800
        assert request.user_id == f"user-{C}"
        assert 6 <= len(request.request_id) <= 64
        assert worker.model.said == ["Do you ship to Norway?"]
        assert "three days" in request.messages[0]["content"]


async def test_sources_of_a_search_stand_at_the_answers_end(flows):
    worker = await flows.worker(["Three days.", SEARCHED])
    async with worker.client() as client:
        await worker.say(client, "How long does it take?")
        await worker.quiet()
        done = decoded(await client.read())[-1]
        assert done["sources"] == [{"title": "Norway", "link": "https://kestrel.example/norway"}]


async def test_a_follow_up_reaches_the_model_with_the_whole_conversation(flows):
    """The second question names nothing: only what was said before can answer it."""
    answer = "The Ridge 2 tent weighs 2.1 kg and costs €349. " * 20
    worker = await flows.worker([answer[i : i + 7] for i in range(0, len(answer), 7)], ["Yes."])
    async with worker.client() as client:
        await worker.say(client, "What does the Ridge 2 weigh?")
        await worker.quiet()
        await worker.say(client, "and that one in blue?")
        await worker.quiet()
        assert worker.model.said == [
            "What does the Ridge 2 weigh?", answer, "and that one in blue?",
        ]  # fmt: skip


async def test_messages_sent_while_an_answer_runs_are_answered_together_next(flows):
    gate = asyncio.Event()
    worker = await flows.worker(["First", gate, " answer."], ["Both."], ["Nobody asked."])
    async with worker.client() as client:
        await worker.say(client, "question 1")
        await eventually(lambda: client.feed.top >= 3)
        await worker.say(client, "question 2")
        await worker.say(client, "question 3")
        assert len(worker.model.requests) == 1
        gate.set()
        await worker.quiet()
        frames = await client.read()
        assert read(frames)[2] == "First answer."
        assert read(frames)[5] == "Both."
        started = [f["answers"] for f in decoded(frames) if f["type"] == "answer.started"]
        assert started == [[1], [3, 4]]
        assert worker.model.said == ["question 1", "First answer.", "question 2", "question 3"]
        assert len(worker.model.requests) == 2
        assert ends(frames) == ["stop", "stop"]


async def test_a_turn_goes_on_when_the_customer_leaves(flows):
    gate = asyncio.Event()
    worker = await flows.worker(["One", gate, " two"])
    async with worker.client() as client:
        await worker.say(client, "Hello")
        await eventually(lambda: client.feed.top >= 3)
    assert len(worker.feeds) == 1, "the turn still uses it"
    gate.set()
    await worker.quiet()
    assert read(await flows.entries())[2] == "One two"
    assert len(worker.feeds) == 0


async def test_who_leaves_at_once_is_answered_too_and_the_log_is_not_read_again_and_again(flows):
    worker = await flows.worker(["One", " two"])
    async with worker.client() as client:
        await worker.say(client, "Hello")
    await worker.quiet()
    assert read(await flows.entries())[2] == "One two"


async def test_another_worker_shows_the_answer_as_it_grows(flows, settled):
    gate = asyncio.Event()
    a, b = await flows.worker(["One", gate, " two"]), await flows.worker(session="b")
    async with a.client() as asking, b.client() as watching:
        await a.say(asking, "Hello")
        await eventually(lambda: watching.feed.top >= 3)
        assert read(await watching.read())[2] == "One"
        gate.set()
        await a.quiet()
        await settled()
        assert await watching.read() == await asking.read() == await flows.entries()


async def test_the_same_message_from_two_sockets_is_answered_once(flows):
    a, b = await flows.worker(["One"]), await flows.worker(["Two"], session="b")
    async with a.client() as here, b.client() as there:
        replies = await asyncio.gather(
            *(a.say(here, "Hello", id="id-00001") for _ in range(5)),
            *(b.say(there, "Hello", id="id-00001") for _ in range(5)),
        )
        await a.quiet()
        await b.quiet()
        assert {(ack["m"], ack["offset"]) for [ack] in replies} == {(1, 1)}
        assert len(a.model.requests) + len(b.model.requests) == 1
        assert ends(await flows.entries()) == ["stop"]


async def test_a_turn_that_was_lost_with_the_reply_runs_when_the_message_comes_again(flows):
    worker = await flows.worker(["Here."])
    async with worker.client() as client:
        flows.memory.fault = lambda call: "after" if call == "accept" else ""
        with pytest.raises(Exception, match="broke"):
            await worker.say(client, "Hello", id="id-00001")
        flows.memory.fault = lambda call: ""
        [ack] = await worker.say(client, "Hello", id="id-00001")
        assert ack["duplicate"]
        await worker.quiet()
        await client.read()
        assert read(await flows.entries()) == {1: "Hello", 2: "Here."}


async def test_a_message_that_opens_a_turn_just_when_the_last_one_ends_is_answered(flows):
    """The last turn's task may still be there, with nothing more to do."""
    worker = await flows.worker(*[[str(i)] for i in range(40)])
    async with worker.client() as client:
        for i in range(40):
            await worker.say(client, f"message {i}")
            top = client.feed.top
            ended = partial(_has_ended, client.feed, top)
            await eventually(ended, every=0)  # and not a turn of the loop longer
        await worker.quiet()
        answered = [
            m for f in decoded(await flows.entries()) if f["type"] == "answer.started"
            for m in f["answers"]
        ]  # fmt: skip
        assert len(answered) == len(set(answered)) == 40
        assert flows.memory.conversations[C].turn is None


def _has_ended(feed: Feed, since: int) -> bool:
    return "answer.done" in kinds(feed.after(since) or [])


async def test_a_burst_of_messages_is_answered_each_exactly_once(flows):
    worker = await flows.worker(*[["x"] for _ in range(50)])
    async with worker.client() as client:
        for i in range(50):
            await worker.say(client, f"message {i}")
            for _ in range(i % 7):
                await asyncio.sleep(0)
        await worker.quiet()
        frames = decoded(await flows.entries())
        answered = [m for f in frames if f["type"] == "answer.started" for m in f["answers"]]
        sent = [f["message"]["m"] for f in frames if f["type"] == "message.created"]
        assert sorted(answered) == sent
        assert worker.model.most_open == 1


# -- stopping ---------------------------------------------------------------------------------


async def test_a_stop_while_the_answer_streams_keeps_its_text_and_closes_the_connection(flows):
    worker = await flows.worker(["One", " two", asyncio.Event(), " never"])
    async with worker.client() as client:
        await worker.say(client, "Hello")
        await eventually(lambda: read(client.feed.after(0)).get(2) == "One two")
        await worker.do(client, StopAnswer(2))
        await worker.quiet()
        frames = await client.read()
        assert read(frames)[2] == "One two"
        assert ends(frames) == ["stopped"]
        assert (worker.model.open, worker.model.cut) == (0, 1)
        assert worker.permits.outcomes == ["aborted"]


async def test_a_stop_while_it_queues_never_reaches_the_model(flows, settled):
    worker = await flows.worker(tier=1)
    async with worker.client() as client, worker.occupied():
        await worker.say(client, "Hello")
        await settled()
        await worker.do(client, StopAnswer(2))
        await worker.quiet()
        assert ends(await client.read()) == ["stopped"]
        assert worker.model.requests == []
        assert worker.permits.queues["live"].waiters == []


async def test_a_stop_on_another_worker_arrives_as_a_hint(flows):
    a, b = await flows.worker(["One", asyncio.Event()]), await flows.worker(session="b")
    async with a.client() as asking, b.client() as other:
        await a.say(asking, "Hello")
        await eventually(lambda: other.feed.top >= 3)
        await b.do(other, StopAnswer(2))
        await a.quiet()
        assert ends(await flows.entries()) == ["stopped"]


async def test_a_stop_whose_hint_was_lost_is_seen_at_the_next_write(flows, settled):
    gate = asyncio.Event()
    a = await flows.worker(["One", gate, " two", asyncio.Event(), " never"])
    b = await flows.worker(session="b")
    async with a.client() as asking, b.client() as other:
        await a.say(asking, "Hello")
        await eventually(lambda: other.feed.top >= 3)
        flows.air.loses = lambda hint: True
        await b.do(other, StopAnswer(2))
        await settled()
        assert a.model.open == 1
        gate.set()
        await a.quiet()
        assert ends(await flows.entries()) == ["stopped"]
        assert read(await flows.entries())[2] == "One two"


async def test_a_stop_whose_hint_was_lost_is_seen_at_the_next_renewal(flows, settled, monkeypatch):
    monkeypatch.setattr("service.flows.turn.RENEW_S", 0.001)
    a, b = await flows.worker(tier=1), await flows.worker(session="b")
    holding = asyncio.create_task(a.turns.hold())
    async with a.client() as asking, b.client() as other, a.occupied():
        await a.say(asking, "Hello")
        await settled()
        flows.air.loses = lambda hint: True
        await b.do(other, StopAnswer(2))
        await a.quiet()
        assert ends(await flows.entries()) == ["stopped"]
    holding.cancel()


async def test_a_stop_of_an_older_answer_does_not_stop_the_one_that_runs(flows, settled):
    gate = asyncio.Event()
    worker = await flows.worker(["One"], ["Two", gate, "."])
    async with worker.client() as client:
        await worker.say(client, "question 1")
        await worker.quiet()
        await worker.say(client, "question 2")
        await eventually(lambda: worker.model.open)
        await worker.do(client, StopAnswer(2))
        worker.turns.stop(C, 2)
        await settled()
        gate.set()
        await worker.quiet()
        assert ends(await client.read()) == ["stop", "stop"]


async def test_what_waited_is_answered_after_a_stop(flows):
    worker = await flows.worker(["One", asyncio.Event()], ["Two"])
    async with worker.client() as client:
        await worker.say(client, "question 1")
        await eventually(lambda: client.feed.top >= 3)
        await worker.say(client, "question 2")
        await worker.do(client, StopAnswer(2))
        await worker.quiet()
        assert ends(await client.read()) == ["stopped", "stop"]
        assert read(client.frames)[4] == "Two"


async def test_an_answer_that_was_stopped_can_be_asked_for_again(flows):
    worker = await flows.worker(["One", asyncio.Event()], ["Better"])
    async with worker.client() as client:
        await worker.say(client, "question 1")
        await eventually(lambda: client.feed.top >= 3)
        await worker.do(client, StopAnswer(2))
        await worker.quiet()
        await worker.do(client, RetryAnswer(2))
        await worker.quiet()
        assert read(await client.read())[3] == "Better"
        assert worker.model.said == ["question 1"], "what is replaced is not held against it"


# -- ends in words ----------------------------------------------------------------------------


async def test_a_failed_turn_ends_in_words_in_the_customers_language_with_the_contact(flows):
    worker = await flows.worker([ModelUnreachable()], [ModelUnreachable()], [ModelUnreachable()])
    async with worker.client() as client:
        await worker.say(client, "Wie lange dauert der Versand nach Norwegen?")
        await worker.quiet()
        frames = await client.read()
        assert ends(frames) == ["failed"]
        assert kinds(frames)[-2:] == ["message.created", "answer.done"]
        notice = decoded(frames)[-2]["message"]
        assert (notice["code"], notice["language"]) == ("answer_failed", "de")
        assert "help@kestrel.example" in notice["text"]
        assert "Entschuldigung" in notice["text"] or "leider" in notice["text"].lower()


async def test_a_site_without_a_contact_promises_none(flows):
    site = SITE.__class__(key=SITE.key, name="Plain", origins=())
    worker = await flows.worker([ModelUnreachable()], [ModelUnreachable()], [ModelUnreachable()])
    async with worker.client() as client:
        await worker.say(client, "Hello there, how are you?", site=site)
        await worker.quiet()
        notice = decoded(await client.read())[-2]["message"]
        assert notice["code"] == "answer_failed"
        assert "{" not in notice["text"] and "reach us" not in notice["text"]


# -- leases and takeover ----------------------------------------------------------------------


async def test_renewals_hold_the_turn_while_nothing_is_written(flows, settled, monkeypatch):
    monkeypatch.setattr("service.flows.turn.RENEW_S", 0.001)
    gate = asyncio.Event()
    a, b = await flows.worker([gate, "Late."]), await flows.worker(session="b")
    holding = asyncio.create_task(a.turns.hold())
    async with a.client() as client:
        await a.say(client, "Hello")
        await eventually(lambda: a.model.open)
        for _ in range(5):
            flows.memory.now_ms += 2900
            before = flows.memory.calls.count("renew")
            await eventually(lambda n=before: flows.memory.calls.count("renew") > n + 1)
            assert await b.log.adopt(C, looked_ms=flows.memory.now_ms) is None
        gate.set()
        await a.quiet()
        assert ends(await client.read()) == ["stop"]
    holding.cancel()


async def test_one_failed_renewal_does_not_end_the_others(flows, settled, monkeypatch):
    monkeypatch.setattr("service.flows.turn.RENEW_S", 0.001)
    gate = asyncio.Event()
    worker = await flows.worker([gate, "Late."])
    holding = asyncio.create_task(worker.turns.hold())
    async with worker.client() as client:
        await worker.say(client, "Hello")
        await eventually(lambda: worker.model.open)
        flows.memory.fault = lambda call: "before" if call == "renew" else ""
        before = flows.memory.calls.count("renew")
        await eventually(lambda: flows.memory.calls.count("renew") > before + 3)
        assert not holding.done()
        flows.memory.fault = lambda call: ""
        gate.set()
        await worker.quiet()
        assert ends(await client.read()) == ["stop"]
    holding.cancel()


async def adopt(worker: FlowWorker) -> None:
    """What the takeover does once a lease has run out."""
    adopted = await worker.log.adopt(C, looked_ms=2**53)
    worker.turns.start(
        Job(C, SITE, adopted.turn, "flow", adopted.text, Position(adopted.epoch, adopted.top))
    )


@pytest.mark.parametrize(
    "telling, cuts",
    [
        (["We ship to Norway in three days."], 0),
        (["We ", "ship", " to Norway", " in three days."], 0),
        (["We ship to Sweden too."], 1),
        (["No."], 1),
        (["We ship"], 1),
        (["We ship to Norway"], 0),
    ],
)
async def test_an_adopted_answer_goes_on_where_the_telling_differs(flows, settled, telling, cuts):
    a = await flows.worker(["We ship to ", "Norway", asyncio.Event()])
    b = await flows.worker(telling, session="b")
    async with a.client() as asking, b.client() as watching:
        await a.say(asking, "Hello")
        await eventually(lambda: read(asking.feed.after(0)).get(2) == "We ship to Norway")
        await adopt(b)
        await b.quiet()
        await settled()
        frames = await watching.read()
        assert read(frames)[2] == "".join(telling)
        assert kinds(frames).count("answer.rewound") == cuts
        assert ends(frames) == ["stop"]
        started = [(f["m"], f["attempt"], f["r"]) for f in decoded(frames) if "attempt" in f]
        assert started == [(2, 1, 1), (2, 2, 1)]
        assert b.model.said == ["Hello"]
        assert await asking.read() == frames


async def test_a_turn_that_another_worker_took_ends_here_without_a_word(flows, settled):
    gate = asyncio.Event()
    a = await flows.worker(["One", gate, " zombie"])
    b = await flows.worker(["One two"], session="b")
    async with a.client() as asking:
        await a.say(asking, "Hello")
        await eventually(lambda: asking.feed.top >= 3)
        with capture_logs() as logs:
            await adopt(b)
            await b.quiet()
            gate.set()
            await a.quiet()
        assert [entry for entry in logs if entry.get("code") == "turn_lost"]
        assert a.ended == []
        await settled()
        assert read(await asking.read())[2] == "One two"
        assert (a.model.open, a.permits.held) == (0, {})


async def test_a_turn_that_was_taken_while_the_model_is_silent_is_noticed_by_the_renewal(
    flows, settled, monkeypatch
):
    monkeypatch.setattr("service.flows.turn.RENEW_S", 0.001)
    a = await flows.worker([asyncio.Event(), "zombie"])
    b = await flows.worker(["Hi."], session="b")
    holding = asyncio.create_task(a.turns.hold())
    async with a.client() as asking:
        await a.say(asking, "Hello")
        await eventually(lambda: a.model.open)
        await adopt(b)
        await b.quiet()
        await a.quiet()
        assert (a.model.open, a.model.cut, a.permits.held) == (0, 1, {})
        await settled()
        assert read(await asking.read())[2] == "Hi."
    holding.cancel()


async def test_a_turn_that_was_adopted_marked_ends_without_the_model(flows, settled):
    a = await flows.worker(["One", asyncio.Event()])
    b = await flows.worker(session="b")
    async with a.client() as asking:
        await a.say(asking, "Hello")
        await eventually(lambda: asking.feed.top >= 3)
        flows.air.loses = lambda hint: True
        await a.log.stop(C, 2)
        await adopt(b)
        await b.quiet()
        assert ends(await flows.entries()) == ["stopped"]
        assert read(await flows.entries())[2] == "One"
        assert b.model.requests == []


async def owner_that_died(flows, session: str, *, asked: bool) -> None:
    """An adopter that is gone: of what the model said, or before it was asked."""
    log = MemoryLog(flows.memory, session=session)
    found = await log.adopt(C, looked_ms=2**53)
    await log.renew(C, found.turn, asks=asked)


async def test_after_three_attempts_there_are_words_and_not_a_fourth(flows, settled):
    worker = await flows.worker()
    await ask(worker.log, C, "Hello there")
    for session in "bcd":
        await owner_that_died(flows, session, asked=True)
    await adopt(worker)
    await worker.quiet()
    frames = await flows.entries()
    assert ends(frames) == ["failed"]
    assert notices(frames) == ["answer_failed"]
    assert worker.model.requests == []


async def test_the_third_attempt_is_still_made(flows):
    worker = await flows.worker(["At last."])
    await ask(worker.log, C, "Hello there")
    for session in "bc":
        await owner_that_died(flows, session, asked=True)
    await adopt(worker)
    await worker.quiet()
    assert read(await flows.entries())[2] == "At last."


async def test_an_owner_that_died_before_it_asked_spends_no_attempt(flows):
    worker = await flows.worker(["At last."])
    await ask(worker.log, C, "Hello there")
    for session in "bcdefg":
        await owner_that_died(flows, session, asked=False)
    await adopt(worker)
    await worker.quiet()
    assert read(await flows.entries())[2] == "At last."


async def test_an_attempt_counts_once_the_request_is_sent_and_not_while_it_waits(flows, settled):
    worker = await flows.worker(["One", asyncio.Event()], tier=1)
    async with worker.client() as client:
        async with worker.occupied():
            await worker.say(client, "Hello")
            await settled()
            assert not flows.memory.conversations[C].asked
        await eventually(lambda: worker.model.open)
        await eventually(lambda: flows.memory.conversations[C].asked)


# -- Redis away -------------------------------------------------------------------------------


async def test_redis_away_in_mid_turn_costs_time_and_no_text(flows, settled):
    gates = [asyncio.Event(), asyncio.Event()]
    worker = await flows.worker(["One", gates[0], " two", " three", gates[1], " four"])
    async with worker.client() as client:
        await worker.say(client, "Hello")
        await eventually(lambda: client.feed.top >= 3)
        flows.memory.fault = lambda call: "before"
        gates[0].set()
        gates[1].set()
        await settled()
        assert read(await client.read())[2] == "One"
        assert worker.model.open == 0, "reading from the model went on"
        flows.memory.fault = lambda call: ""
        await worker.quiet()
        assert read(await client.read())[2] == "One two three four"
        assert offsets(client.frames) == list(range(1, len(client.frames) + 1))


async def test_redis_away_before_the_context_was_read_is_waited_for(flows, settled):
    worker = await flows.worker(["Here."])
    async with worker.client() as client:
        flows.memory.fault = lambda call: "before" if call == "messages" else ""
        await worker.say(client, "Hello")
        await settled()
        assert worker.model.requests == []
        flows.memory.fault = lambda call: ""
        await worker.quiet()
        assert read(await client.read())[2] == "Here."


async def test_redis_away_at_the_end_is_waited_for_and_the_end_is_said_once(flows, settled):
    worker = await flows.worker(["Here."])
    fate = iter(["before", "after", "before", "after"])
    flows.memory.fault = lambda call: next(fate, "") if call == "finish" else ""
    async with worker.client() as client:
        await worker.say(client, "Hello")
        await worker.quiet()
        assert ends(await client.read()) == ["stop"]


async def test_a_conversation_that_is_gone_ends_its_turn_quietly(flows):
    gate = asyncio.Event()
    worker = await flows.worker(["One", gate, " two"])
    async with worker.client() as client:
        await worker.say(client, "Hello")
        await eventually(lambda: client.feed.top >= 3)
        flows.memory.conversations.clear()
        gate.set()
        await worker.quiet()
        assert (worker.model.open, worker.permits.held) == (0, {})


async def test_a_turn_goes_on_while_only_the_channel_is_away(flows):
    worker = await flows.worker(["Here."])
    await begin(worker.log, "elsewhere")
    turn = await ask(worker.log, "elsewhere", "Hello there")
    worker.channels.away = True
    with pytest.raises(StoreUnavailable):
        async with worker.feeds.use("elsewhere"):
            raise AssertionError("a socket would miss what others write")
    worker.turns.start(Job(conversation="elsewhere", site=SITE, turn=turn, flow="f"))
    await worker.quiet()
    assert read(await flows.entries("elsewhere"))[2] == "Here."
    assert ends(await flows.entries("elsewhere")) == ["stop"]


# -- what is shown in passing -----------------------------------------------------------------


async def test_place_in_the_queue_and_thinking_are_shown_here_and_elsewhere(flows, settled):
    gate = asyncio.Event()
    a, b = await flows.worker([gate, "Here."], tier=1), await flows.worker(session="b")
    async with a.client() as client, b.client() as elsewhere:
        async with a.occupied():
            await a.say(client, "Hello")
            queued = [wire.answer_status(2, "queued"), wire.queue_updated(1, 0)]
            await eventually(lambda: elsewhere.feed.latest() == queued)
            assert client.feed.latest() == queued
        thinking = [wire.queue_updated(1, 0), wire.answer_status(2, "thinking")]
        await eventually(lambda: elsewhere.feed.latest() == thinking)
        assert client.feed.latest() == thinking
        gate.set()
        await a.quiet()
        await settled()
        assert client.feed.latest() == elsewhere.feed.latest() == []


async def test_a_socket_that_comes_later_elsewhere_is_shown_it_again(flows):
    a, b = await flows.worker(tier=1), await flows.worker(session="b")
    async with a.client() as client, a.occupied():
        await a.say(client, "Hello")
        await eventually(lambda: client.feed.latest())
        async with b.client() as late:
            assert late.feed.latest() == []
            await b.feeds.ask(C)
            place = wire.queue_updated(1, 0)
            await eventually(lambda: late.feed.latest()[1:] == [place])


# -- ending the worker ------------------------------------------------------------------------


async def test_draining_waits_for_turns_that_end_and_leaves_the_others(flows):
    gate = asyncio.Event()
    worker = await flows.worker(["One", gate, "."], ["Two", asyncio.Event()])
    await begin(worker.log, "other")
    async with worker.client() as short, worker.client("other") as long:
        await worker.say(short, "Hello")
        await worker.say(long, "Hello")
        await eventually(lambda: short.feed.top >= 3 and long.feed.top >= 3)
        asyncio.get_running_loop().call_later(0.05, gate.set)
        left = await worker.turns.drain(0.3)
        assert left == 1
        assert ends(await flows.entries()) == ["stop"]
        assert ends(await flows.entries("other")) == []
        assert flows.memory.conversations["other"].turn is not None, "whoever runs next adopts it"
        assert (worker.model.open, worker.permits.held) == (0, {})


async def test_draining_waits_for_turns_that_begin_meanwhile(flows):
    first, second = asyncio.Event(), asyncio.Event()
    worker = await flows.worker(["One", first, "."], ["Two", second, "."])
    await begin(worker.log, "other")
    async with worker.client() as here, worker.client("other") as there:
        await worker.say(here, "Hello")
        draining = asyncio.create_task(worker.turns.drain(5))
        await asyncio.sleep(0)
        await worker.say(there, "Hello")  # the socket has not moved to another worker yet
        first.set()
        await eventually(lambda: len(worker.turns) == 1)
        second.set()
        assert await draining == 0
        assert ends(await flows.entries("other")) == ["stop"]


async def test_a_mistake_of_our_own_ends_one_turn_and_is_told(flows):
    worker = await flows.worker(["Here."])

    async def broken(*args: object, **more: object) -> None:
        raise KeyError("a mistake")

    async with worker.client() as client:
        worker.context.prompt = broken
        with capture_logs() as logs:
            await worker.say(client, "Hello")
            await worker.quiet()
        assert [entry["event"] for entry in logs] == ["turn broke"]
        assert len(worker.turns) == 0


async def test_overload_before_the_first_word_is_tried_again_and_nobody_notices(flows):
    worker = await flows.worker([ModelOverloaded()], ["Here."])
    async with worker.client() as client:
        await worker.say(client, "Hello")
        await worker.quiet()
        assert read(await client.read())[2] == "Here."
        assert notices(client.frames) == []
