"""Asking: which failures are tried again, what the others come to, and what a permit covers."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from service.core import errors
from service.core.errors import (
    ModelAccountBlocked,
    ModelContextTooLong,
    ModelCutOff,
    ModelError,
    ModelOverloaded,
    ModelOverTier,
    ModelRefused,
    ModelRejected,
    ModelStalled,
    ModelUnreachable,
)
from service.core.model import Finished, Position, ToolCall, ToolCalls, Usage
from service.core.permit_errors import (
    PermitLost,
    PermitsUnavailable,
    PermitTimeout,
    QueueTooLong,
)
from service.core.texts import text as words
from service.flows.job import Job
from tests.support.eventually import eventually
from tests.support.flow_rig import SITE, C, Flows, FlowWorker
from tests.support.log_rig import begin, decoded, read
from tests.support.twins.model import CUT

PASSING = [ModelOverloaded, ModelUnreachable, ModelStalled, ModelCutOff]
FINAL = [ModelRejected, ModelAccountBlocked]


def finished(reason: str) -> Finished:
    return Finished(reason, Usage())


class Outcome:
    """What a customer has in the end."""

    def __init__(self, worker: FlowWorker, frames: list[bytes]) -> None:
        self.worker = worker
        events = decoded(frames)
        [done] = [e for e in events if e["type"] == "answer.done"]
        self.reason = done["reason"]
        self.text = read(frames)[done["m"]]
        created = [e["message"] for e in events if e["type"] == "message.created"]
        self.notices = [m for m in created if m["author"] == "notice"]
        self.codes = [m["code"] for m in self.notices]
        self.requests = len(worker.model.requests)


async def ask(flows: Flows, *scripts, tier: int = 50, text: str = "Hello there") -> Outcome:
    worker = await flows.worker(*scripts, tier=tier)
    return await ask_of(worker, flows, text)


async def ask_of(worker: FlowWorker, flows: Flows, text: str = "Hello there") -> Outcome:
    async with worker.client() as client:
        await worker.say(client, text)
        await worker.quiet()
    assert worker.model.open == 0
    return Outcome(worker, await flows.entries())


# -- failures before the first word -------------------------------------------------------------


def test_every_failure_of_the_model_is_in_one_of_the_lists_here():
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    known = {*PASSING, *FINAL, ModelOverTier, ModelContextTooLong, ModelRefused, ModelError}
    assert {kind for kind in kinds if issubclass(kind, ModelError)} == known


@pytest.mark.parametrize("kind", PASSING)
async def test_what_passes_is_tried_three_times_and_the_customer_sees_only_the_answer(flows, kind):
    outcome = await ask(flows, [kind()], [kind()], ["Here."])
    assert (outcome.reason, outcome.text, outcome.codes) == ("stop", "Here.", [])
    assert outcome.requests == 3


@pytest.mark.parametrize("kind", PASSING)
async def test_after_three_tries_there_are_words(flows, kind):
    outcome = await ask(flows, [kind()], [kind()], [kind()], ["Too late."])
    assert (outcome.reason, outcome.text, outcome.codes) == ("failed", "", ["answer_failed"])
    assert outcome.requests == 3


@pytest.mark.parametrize("kind", FINAL)
async def test_what_no_try_can_mend_is_not_tried_again(flows, kind):
    outcome = await ask(flows, [kind(provider_code="1113")], ["Never."])
    assert outcome.worker.permits.held == {}
    assert (outcome.reason, outcome.codes, outcome.requests) == ("failed", ["answer_failed"], 1)
    assert outcome.worker.permits.outcomes == ["1113"]


async def test_no_word_of_the_providers_reaches_the_customer(flows):
    secret = "account 4711 has no balance, see https://bigmodel.example"
    outcome = await ask(flows, [ModelAccountBlocked(secret, provider_code="1113")])
    assert secret not in str(await flows.entries())
    assert outcome.notices[0]["text"] == words(
        "answer_failed", "en", contact="help@kestrel.example"
    )


async def test_a_stream_without_its_end_is_no_answer(flows):
    outcome = await ask(flows, [CUT], ["Here."])
    assert (outcome.text, outcome.requests) == ("Here.", 2)


async def test_an_answer_without_a_word_is_no_answer(flows):
    outcome = await ask(flows, [finished("stop")], ["", finished("stop")], ["Here."])
    assert (outcome.text, outcome.requests) == ("Here.", 3)


async def test_calls_of_tools_that_nobody_offered_are_no_answer(flows):
    calls = ToolCalls((ToolCall("1", "refund", "{}"),))
    outcome = await ask(flows, [calls, finished("tool_calls")], ["Here."])
    assert (outcome.text, outcome.requests) == ("Here.", 2)


async def test_too_long_a_context_is_halved_once(flows):
    worker = await flows.worker(
        *[["word " * 380] for _ in range(10)], [ModelContextTooLong()], ["Here."]
    )
    async with worker.client() as client:
        for i in range(10):
            await worker.say(client, f"{i} " + "word " * 380)
            await worker.quiet()
        await worker.say(client, "and now?")
        await worker.quiet()
    first, second = (request.messages for request in worker.model.requests[-2:])
    assert len(first) > len(second) > 4
    assert second[-1]["content"] == "and now?"
    assert flows.messages()[-1] == ("assistant", "Here.")


async def test_a_context_that_is_too_long_even_then_ends_in_words(flows):
    outcome = await ask(flows, [ModelContextTooLong()], [ModelContextTooLong()], ["Never."])
    assert (outcome.reason, outcome.codes, outcome.requests) == ("failed", ["answer_failed"], 2)


# -- failures after the first word --------------------------------------------------------------


@pytest.mark.parametrize("kind", [*PASSING, *FINAL, ModelOverTier, ModelContextTooLong])
async def test_once_a_word_is_shown_a_failure_keeps_the_words_and_says_so(flows, kind):
    outcome = await ask(flows, ["One two", kind()], ["Another answer."])
    assert (outcome.reason, outcome.text) == ("failed", "One two")
    assert (outcome.codes, outcome.requests) == (["answer_failed"], 1)


async def test_a_stream_that_is_cut_after_its_first_words_keeps_them(flows):
    outcome = await ask(flows, ["One two", CUT], ["Another answer."])
    assert (outcome.reason, outcome.text, outcome.requests) == ("failed", "One two", 1)


# -- content ----------------------------------------------------------------------------------


async def test_a_question_that_the_provider_refuses_is_withdrawn_with_words(flows):
    outcome = await ask(flows, [ModelRefused(provider_code="1301")], ["Never."])
    assert (outcome.reason, outcome.text) == ("withdrawn", "")
    assert (outcome.codes, outcome.requests) == (["answer_refused"], 1)


@pytest.mark.parametrize("end", [finished("sensitive"), ModelRefused(provider_code="1301")])
async def test_an_answer_that_turns_out_sensitive_leaves_nothing_but_words(flows, end):
    outcome = await ask(flows, ["Something", " awful", end])
    assert (outcome.reason, outcome.text) == ("withdrawn", "")
    assert len(outcome.codes) == 1
    assert b"awful" not in b"".join(await flows.entries())
    assert ("assistant", "") in flows.messages()


async def test_a_withdrawn_answer_and_what_led_to_it_are_not_told_to_the_model_again(flows):
    worker = await flows.worker(["awful", finished("sensitive")], ["Here."])
    async with worker.client() as client:
        await worker.say(client, "say something awful")
        await worker.quiet()
        await worker.say(client, "do you ship to Norway?")
        await worker.quiet()
        assert worker.model.said == ["do you ship to Norway?"]


# -- other ends -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason, wanted, notices",
    [
        ("stop", "stop", []),
        ("length", "length", []),
        ("model_context_window_exceeded", "length", []),
        ("network_error", "failed", ["answer_failed"]),
        ("a_word_of_tomorrow", "stop", []),
    ],
)
async def test_the_providers_word_for_the_end_is_translated(flows, reason, wanted, notices):
    outcome = await ask(flows, ["One two", finished(reason)])
    assert (outcome.reason, outcome.text, outcome.codes) == (wanted, "One two", notices)


# -- permits ----------------------------------------------------------------------------------


async def test_a_request_is_made_inside_a_permit_and_never_outside(flows):
    gate = asyncio.Event()
    worker = await flows.worker(*[["x", gate, "y"] for _ in range(12)], tier=3)
    async with AsyncExitStack() as stack:
        for i in range(12):
            await begin(worker.log, f"c{i}")
            client = await stack.enter_async_context(worker.client(f"c{i}"))
            await worker.say(client, "Hello there")
        await eventually(lambda: len(worker.permits.queues["live"].waiters) == 9)
        await eventually(lambda: worker.model.open == 3)
        gate.set()
        await worker.quiet()
    assert len(worker.model.requests) == 12
    assert worker.model.most_open == 3
    assert worker.permits.outcomes == ["ok"] * 12


async def test_over_the_tier_it_queues_again_at_the_head_with_its_patience(flows):
    worker = await flows.worker(
        *[[ModelOverTier(provider_code="1302")] for _ in range(8)], ["Here."]
    )
    asked = watch_permits(worker)
    outcome = await ask_of(worker, flows)
    assert (outcome.text, outcome.codes, outcome.requests) == ("Here.", [], 9)
    assert worker.permits.outcomes == ["1302"] * 8 + ["ok"]
    assert asked[0]["since"] is None
    assert len({again["since"] for again in asked[1:]}) == 1
    assert asked[1]["since"] is not None
    assert len({one["deadline"] for one in asked}) == 1
    assert {one["priority"] for one in asked} == {"live"}
    assert {one["flow"] for one in asked} == {"pk_test 192.0.2.1"}


def watch_permits(worker: FlowWorker) -> list[dict]:
    """Every acquisition's words, as they are asked."""
    asked: list[dict] = []
    acquire = worker.permits.acquire

    def watched(**words):
        asked.append(words)
        return acquire(**words)

    worker.permits.acquire = watched
    return asked


def refuse_permits(worker: FlowWorker, *errors: Exception) -> None:
    """The next acquisitions are refused so."""
    waiting, acquire = list(errors), worker.permits.acquire

    def refusing(**words):
        if waiting:
            raise waiting.pop(0)
        return acquire(**words)

    worker.permits.acquire = refusing


async def test_a_queue_that_is_too_long_is_told_in_minutes(flows):
    worker = await flows.worker(["Never."])
    refuse_permits(worker, QueueTooLong(position=900, eta_ms=270_000))
    outcome = await ask_of(worker, flows)
    assert (outcome.reason, outcome.codes) == ("failed", ["queue_too_long"])
    assert outcome.notices[0]["text"] == words("queue_too_long", "en", minutes=4)
    assert outcome.requests == 0


async def test_a_short_wait_that_is_refused_is_told_as_a_minute_not_as_none(flows):
    worker = await flows.worker()
    refuse_permits(worker, QueueTooLong(position=9, eta_ms=100))
    outcome = await ask_of(worker, flows)
    assert outcome.notices[0]["text"] == words("queue_too_long", "en", minutes=1)


async def test_a_wait_that_became_too_long_says_so(flows):
    worker = await flows.worker()
    refuse_permits(worker, PermitTimeout())
    outcome = await ask_of(worker, flows)
    assert (outcome.reason, outcome.codes) == ("failed", ["permit_timeout"])


@pytest.mark.parametrize("kind", [PermitsUnavailable, PermitLost])
async def test_permits_that_are_away_for_a_moment_are_waited_for(flows, kind):
    worker = await flows.worker(["Here."])
    refuse_permits(worker, *[kind() for _ in range(5)])
    outcome = await ask_of(worker, flows)
    assert (outcome.text, outcome.codes) == ("Here.", [])


async def test_permits_that_stay_away_end_in_words_when_the_patience_does(flows):
    worker = await flows.worker(["Never."])
    worker.asking._queue_wait_s = 0.02
    refuse_permits(worker, *[PermitsUnavailable() for _ in range(1000)])
    outcome = await ask_of(worker, flows)
    assert (outcome.reason, outcome.codes, outcome.requests) == ("failed", ["answer_failed"], 0)


async def test_one_turn_waits_no_longer_than_it_says(flows):
    worker = await flows.worker(["Never."], tier=1)
    worker.asking._queue_wait_s = 0.05
    asked = watch_permits(worker)
    async with worker.occupied():
        before = time.monotonic()
        outcome = await ask_of(worker, flows)
        assert time.monotonic() - before < 5
    assert asked[-1]["deadline"] - before < 1
    assert (outcome.reason, outcome.codes) == ("failed", ["permit_timeout"])


async def test_the_customer_is_told_its_place_while_it_waits(flows):
    worker = await flows.worker(["Here."], tier=1)
    worker.permits.hold_ms = 2000
    async with worker.client() as client:
        async with worker.occupied():
            await worker.say(client, "Hello there")
            status, place = decoded(await eventually(client.feed.latest))
            assert status == {"type": "answer.status", "m": 2, "state": "queued"}
            assert (place["type"], place["position"]) == ("queue.updated", 1)
            assert place["eta_ms"] > 0
        await worker.quiet()


# -- a telling that fails on the way ------------------------------------------------------------


async def adopted(flows: Flows, shown: str, *scripts) -> Outcome:
    """A turn that another worker left after ``shown``, taken over by one with these scripts."""
    gone = await flows.worker([shown, asyncio.Event()])
    heir = await flows.worker(*scripts, session="b")
    async with gone.client() as client:
        await gone.say(client, "Hello there")
        await eventually(lambda: read(client.feed.after(0)).get(2) == shown)
        found = await heir.log.adopt(C, looked_ms=2**53)
        position = Position(found.epoch, found.top)
        heir.turns.start(Job(C, SITE, found.turn, "flow", found.text, position))
        await heir.quiet()
    return Outcome(heir, await flows.entries())


async def test_a_telling_that_fails_before_it_says_anything_new_is_tried_again(flows):
    outcome = await adopted(
        flows, "We ship to Norway", ["We ship", ModelStalled()], ["We ship to Norway", " daily."]
    )
    assert (outcome.reason, outcome.text, outcome.requests) == (
        "stop",
        "We ship to Norway daily.",
        2,
    )


async def test_a_telling_that_fails_after_it_differed_keeps_what_is_shown_by_then(flows):
    outcome = await adopted(
        flows, "We ship to Norway in three days.", ["We ship to Sw", ModelStalled()], ["Never."]
    )
    assert (outcome.reason, outcome.text) == ("failed", "We ship to Sw")
    assert (outcome.codes, outcome.requests) == (["answer_failed"], 1)


async def test_a_telling_without_a_word_takes_nothing_away(flows):
    nothing = [finished("stop")]
    outcome = await adopted(flows, "We ship to Norway", nothing, nothing, nothing)
    assert (outcome.reason, outcome.text) == ("failed", "We ship to Norway")


async def test_a_telling_that_breaks_off_takes_nothing_away(flows):
    outcome = await adopted(flows, "We ship to Norway", ["We ship", finished("network_error")])
    assert (outcome.reason, outcome.text) == ("failed", "We ship to Norway")


async def test_a_telling_that_turns_out_sensitive_withdraws_all_of_it(flows):
    outcome = await adopted(flows, "We ship to Norway", ["We ship", finished("sensitive")])
    assert (outcome.reason, outcome.text) == ("withdrawn", "")
