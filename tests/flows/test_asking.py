"""Asking: which failures are tried again, what the others come to, and what a permit covers."""

import asyncio
import re
import time
from contextlib import AsyncExitStack
from random import Random

import pytest
from msgspec.structs import replace

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
from tests.support.log_rig import begin, decoded, kinds, read
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
    return await adopted_by(await flows.worker(*scripts, session="b"), flows, shown)


async def adopted_by(heir: FlowWorker, flows: Flows, shown: str) -> Outcome:
    gone = await flows.worker([shown, asyncio.Event()])
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


# -- an adopted answer that goes on -------------------------------------------------------------

SHOWN = "Thank you for asking. Parcels to Norway take three"
REST = " working days, and parcels to Sweden take two. Anything else? 🙂"
WHOLE = SHOWN + REST
OTHER = "Delivery to Norway is three days and to Sweden it is two."


def rewinds(frames: list[bytes]) -> int:
    return kinds(frames).count("answer.rewound")


def told(worker: FlowWorker, number: int) -> list[tuple[str, str]]:
    """Who said what in the request, without the system message."""
    messages = worker.model.requests[number].messages[1:]
    return [(message["role"], message["content"]) for message in messages]


@pytest.mark.parametrize("shown", [SHOWN, SHOWN[:40], WHOLE[:-1]])
async def test_the_model_is_asked_to_go_on_with_what_was_shown(flows, shown):
    outcome = await adopted(flows, shown, [WHOLE[len(shown) :]])
    assert (outcome.reason, outcome.text, outcome.requests) == ("stop", WHOLE, 1)
    assert told(outcome.worker, 0) == [("user", "Hello there"), ("assistant", shown)]
    assert rewinds(await flows.entries()) == 0
    assert outcome.worker.permits.outcomes == ["ok"]


async def test_less_than_forty_characters_are_not_worth_it_and_it_is_asked_to_tell_all(flows):
    outcome = await adopted(flows, SHOWN[:39], [WHOLE])
    assert (outcome.text, outcome.requests) == (WHOLE, 1)
    assert told(outcome.worker, 0) == [("user", "Hello there")]


FAITHFUL = {
    "goes on exactly": REST,
    "repeats three words": "Norway take three" + REST,
    "repeats what is long": SHOWN[10:] + REST,
    "restarts verbatim": WHOLE,
}
OTHERWISE = {
    "restarts in other words": OTHER,
    "says that it goes on": "Sure, continuing:" + REST,
}


@pytest.mark.parametrize("way", FAITHFUL)
async def test_a_model_that_says_the_same_leaves_no_seam(flows, settled, way):
    outcome = await adopted(flows, SHOWN, list(FAITHFUL[way]))
    assert (outcome.reason, outcome.text, outcome.requests) == ("stop", WHOLE, 1)
    assert rewinds(await flows.entries()) == 0


@pytest.mark.parametrize("way", OTHERWISE)
async def test_a_model_that_says_it_otherwise_is_asked_anew_and_rewound_once(flows, way):
    outcome = await adopted(flows, SHOWN, [*OTHERWISE[way], "and more"], list(OTHER))
    assert (outcome.reason, outcome.text, outcome.requests) == ("stop", OTHER, 2)
    frames = await flows.entries()
    assert rewinds(frames) == 1
    assert told(outcome.worker, 0)[-1] == ("assistant", SHOWN)
    assert told(outcome.worker, 1) == [("user", "Hello there")]
    assert b"continuing" not in b"".join(frames)


@pytest.mark.parametrize("seed", range(20))
async def test_wherever_the_worker_died_no_sentence_stands_twice(flows, seed):
    random = Random(seed)
    sentences = [
        f"{a} parcel number {n} leaves for {b}." for n, a, b in zip(
            range(9), random.sample(NAMES, 9), random.sample(NAMES, 9), strict=True
        )
    ]  # fmt: skip
    whole, other = " ".join(sentences), " ".join(reversed(sentences))
    shown = whole[: random.randint(40, len(whole) - 1)]
    begins = random.choice([word.start() for word in re.finditer(r"\S+", shown)][-30:-2])
    said = random.choice(
        [
            whole[len(shown) :],
            whole[begins:],
            whole,
            other,
            "Sure, continuing: " + whole[len(shown) :],
        ]
    )
    outcome = await adopted(flows, shown, list(said), list(other))
    cuts = rewinds(await flows.entries())
    assert (outcome.text, cuts) in ((whole, 0), (other, 1))
    assert (outcome.requests == 2) == (outcome.text == other)
    assert outcome.codes == []


NAMES = [
    "Ann", "Bob", "Cat", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon", "Kim", "Leo", "Mia",
    "Ned",
]  # fmt: skip


async def test_the_request_that_is_of_no_use_is_cut_and_the_next_keeps_the_turns_place(flows):
    useless = ["Sure, continuing: it takes three or four days.", asyncio.Event()]
    heir = await flows.worker(useless, [WHOLE], session="b")
    asked = watch_permits(heir)
    outcome = await adopted_by(heir, flows, SHOWN)
    assert outcome.text == WHOLE
    assert (heir.model.cut, heir.permits.outcomes) == (1, ["aborted", "ok"])
    assert [one["since"] for one in asked] == [asked[0]["since"]] * 2
    assert len({one["deadline"] for one in asked}) == 1


async def test_a_request_of_no_use_that_had_ended_by_itself_is_not_cut(flows):
    heir = await flows.worker(["Yes."], [WHOLE], session="b")
    outcome = await adopted_by(heir, flows, SHOWN)
    assert outcome.text == WHOLE
    assert (heir.model.cut, heir.permits.outcomes) == (0, ["ok", "ok"])


async def test_at_a_full_tier_the_new_request_is_the_next(flows):
    """The permit of the cut request lingers; nobody who came later gets it."""
    heir = await flows.worker(["Sure, continuing: so. " * 3], [WHOLE], session="b", tier=1)
    heir.permits._linger_s = 0.05
    order: list[str] = []

    async def later() -> None:
        within = time.monotonic() + 60
        async with heir.permits.acquire(flow="later", priority="live", deadline=within):
            order.append("later")

    real = heir.model.stream

    def stream(request, *, deadline):
        order.append("ours")
        if len(order) == 1:
            others.append(asyncio.create_task(later()))
        return real(request, deadline=deadline)

    others: list[asyncio.Task[None]] = []
    heir.model.stream = stream
    outcome = await adopted_by(heir, flows, SHOWN)
    await asyncio.gather(*others)
    assert outcome.text == WHOLE
    assert order == ["ours", "ours", "later"]


async def test_asking_anew_counts_as_no_try(flows):
    fails = [ModelStalled()]
    outcome = await adopted(
        flows, SHOWN, fails, fails, ["Sure, continuing: it takes a few days."], [WHOLE]
    )
    assert (outcome.reason, outcome.text, outcome.requests) == ("stop", WHOLE, 4)


async def test_one_that_fails_before_anything_new_is_asked_to_go_on_again(flows):
    outcome = await adopted(flows, SHOWN, [REST[:20], ModelStalled()], [REST])
    assert (outcome.reason, outcome.text, outcome.requests) == ("stop", WHOLE, 2)
    assert told(outcome.worker, 1)[-1] == ("assistant", SHOWN)


async def test_one_that_fails_after_that_keeps_what_it_added(flows):
    outcome = await adopted(flows, SHOWN, [REST[:50], ModelStalled()], ["Never."])
    assert (outcome.reason, outcome.text) == ("failed", SHOWN + REST[:50])
    assert (outcome.codes, outcome.requests) == (["answer_failed"], 1)


async def test_an_endpoint_that_does_not_go_on_with_the_assistants_words_is_asked_anew(flows):
    outcome = await adopted(flows, SHOWN, [ModelRejected(provider_code="1214")], [WHOLE])
    assert (outcome.reason, outcome.text, outcome.requests) == ("stop", WHOLE, 2)
    assert told(outcome.worker, 1) == [("user", "Hello there")]
    assert outcome.worker.permits.outcomes == ["1214", "ok"]


async def test_one_that_rejects_even_that_ends_in_words(flows):
    rejected = [ModelRejected(provider_code="1214")]
    outcome = await adopted(flows, SHOWN, rejected, rejected, ["Never."])
    assert (outcome.reason, outcome.text, outcome.requests) == ("failed", SHOWN, 2)


@pytest.mark.parametrize("script", [[], [finished("stop")], [""], ["", finished("tool_calls")]])
async def test_a_whole_answer_with_nothing_to_add_is_done(flows, script):
    shown = SHOWN + " days. Anything else?"
    outcome = await adopted(flows, shown, script)
    assert (outcome.reason, outcome.text, outcome.requests) == ("stop", shown, 1)


async def test_half_an_answer_with_nothing_to_add_is_asked_anew(flows):
    outcome = await adopted(flows, SHOWN, [], [WHOLE])
    assert (outcome.text, outcome.requests) == (WHOLE, 2)


@pytest.mark.parametrize("more", ["", " working"])
async def test_an_answer_that_breaks_off_again_keeps_what_was_shown(flows, more):
    outcome = await adopted(flows, SHOWN, [more, finished("network_error")])
    assert (outcome.reason, outcome.text) == ("failed", SHOWN)


async def test_a_restart_that_reached_its_limit_takes_nothing_away(flows):
    outcome = await adopted(flows, WHOLE, [SHOWN, finished("length")])
    assert (outcome.reason, outcome.text) == ("length", WHOLE)


async def test_an_answer_that_turns_out_sensitive_when_it_goes_on_is_withdrawn(flows):
    outcome = await adopted(flows, SHOWN, [REST, finished("sensitive")])
    assert (outcome.reason, outcome.text) == ("withdrawn", "")


# -- the place of an adopted turn ---------------------------------------------------------------


@pytest.mark.parametrize(
    "began_ago_s, since_ago_s", [(30, 30), (-5, 0), (7200, 3600)]
)  # another clock may be fast; and one that is hours off is no clock
async def test_an_adopted_turn_queues_at_the_head_since_it_began(flows, began_ago_s, since_ago_s):
    heir = await flows.worker([REST], session="b")
    asked = watch_permits(heir)
    flows.memory.now_ms = round((time.time() - began_ago_s) * 1000)
    outcome = await adopted_by(heir, flows, SHOWN)
    assert outcome.text == WHOLE
    assert time.monotonic() - asked[0]["since"] == pytest.approx(since_ago_s, abs=3)
    assert asked[0]["deadline"] - time.monotonic() == pytest.approx(120, abs=3)


async def test_of_an_adopted_turn_whose_beginning_is_not_known_the_place_is_the_heads_last(flows):
    heir = await flows.worker([REST], session="b")
    asked, adopt = watch_permits(heir), heir.log.adopt

    async def of_an_older_version(*args, **words):
        found = await adopt(*args, **words)
        return replace(found, turn=replace(found.turn, since_ms=0))

    heir.log.adopt = of_an_older_version
    await adopted_by(heir, flows, SHOWN)
    assert time.monotonic() - asked[0]["since"] == pytest.approx(0, abs=3)


async def test_a_turn_that_began_here_queues_behind_the_others(flows):
    worker = await flows.worker(["Here."])
    asked = watch_permits(worker)
    await ask_of(worker, flows)
    assert [one["since"] for one in asked] == [None]
