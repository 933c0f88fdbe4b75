"""The context: as much of the conversation as the budget holds, read no further than that."""

import pytest

from service.core.model import OpenTurn, Site, SiteLimits
from service.core.tokens import estimate
from service.flows.context import BATCH, Context
from tests.support.flow_rig import SITE, C, Flows, FlowWorker
from tests.support.log_rig import Answer, answer, ask, begin, send

LONG = "word " * 60  # some sixty model tokens


def limited(**limits: int) -> Site:
    fields = {name: getattr(SITE, name) for name in SITE.__struct_fields__}
    return Site(**fields | {"limits": SiteLimits(**limits)})


async def prompt(worker: FlowWorker, turn: OpenTurn, *, site: Site = SITE, shrink: bool = False):
    return await worker.context.prompt(site, C, turn, shrink=shrink)


def said(prompt) -> list[str]:
    return [message["content"] for message in prompt.messages[1:]]


async def test_all_of_a_short_conversation_is_told_in_order_and_the_newest_last(flows):
    worker = await flows.worker()
    await answer(worker.log, C, "question 1", "answer 1")
    await answer(worker.log, C, "question 2", "answer 2")
    turn = await ask(worker.log, C, "question 3")
    found = await prompt(worker, turn)
    assert said(found) == ["question 1", "answer 1", "question 2", "answer 2", "question 3"]
    roles = [message["role"] for message in found.messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]


async def test_messages_that_came_after_the_turn_began_wait_for_the_next(flows):
    worker = await flows.worker()
    turn = await ask(worker.log, C, "question 1")
    await send(worker.log, C, "question 2")
    assert said(await prompt(worker, turn)) == ["question 1"]


async def test_notices_and_empty_answers_are_not_told(flows):
    worker = await flows.worker()
    told = Answer(worker.log, C, await ask(worker.log, C, "question 1"))
    await told.finish("failed", notice=b'"author":"notice","code":"x","text":"Sorry.","r":0}')
    turn = await ask(worker.log, C, "question 2")
    assert said(await prompt(worker, turn)) == ["question 1", "question 2"]


async def test_what_an_answer_replaces_is_not_told_wherever_it_stands(flows):
    worker = await flows.worker()
    told = Answer(worker.log, C, await ask(worker.log, C, "question 1"))
    await told.append("bad 1")
    await told.finish("length")
    again = Answer(worker.log, C, (await worker.log.retry(C, 0, m=2)).turn)
    assert said(await prompt(worker, again.turn)) == ["question 1"]
    await again.append("bad 2")
    await again.finish("length")
    third = (await worker.log.retry(C, 0, m=3)).turn
    assert said(await prompt(worker, third)) == ["question 1"]
    last = Answer(worker.log, C, third)
    await last.append("good")
    await last.finish()
    turn = await ask(worker.log, C, "question 2")
    assert said(await prompt(worker, turn)) == ["question 1", "good", "question 2"]


async def test_a_partial_answer_that_stands_is_told(flows):
    worker = await flows.worker()
    told = Answer(worker.log, C, await ask(worker.log, C, "question 1"))
    await told.append("As far as this")
    await told.finish("stopped")
    turn = await ask(worker.log, C, "go on")
    assert said(await prompt(worker, turn)) == ["question 1", "As far as this", "go on"]


async def long_conversation(flows: Flows, turns: int) -> tuple[FlowWorker, OpenTurn]:
    worker = await flows.worker()
    for i in range(turns):
        await answer(worker.log, C, f"question {i} {LONG}", f"answer {i} {LONG}")
    return worker, await ask(worker.log, C, "the newest question")


async def test_a_long_conversation_is_read_only_as_far_as_the_budget_reaches(flows):
    worker, turn = await long_conversation(flows, 100)
    flows.memory.read.clear()
    found = await prompt(worker, turn, site=limited(context_tokens=2500))
    assert sum(count for _, count in flows.memory.read) == BATCH
    assert said(found)[-1] == "the newest question"
    assert 10 < len(said(found)) < BATCH
    assert found.tokens + 800 <= 2500
    flows.memory.read.clear()
    await prompt(worker, turn)
    assert len(flows.memory.read) == 4, "with the common budget all 200 messages are read"


async def test_a_conversation_twice_as_long_costs_no_more_to_read(flows):
    costs = []
    for turns in (60, 120):
        flows.memory.conversations.clear()
        worker, turn = await long_conversation(flows, turns)
        flows.memory.read.clear()
        await prompt(worker, turn, site=limited(context_tokens=2500))
        costs.append(len(flows.memory.read))
    assert costs[0] == costs[1]


async def test_the_newest_message_is_always_whole(flows):
    worker = await flows.worker()
    await answer(worker.log, C, f"question {LONG}", f"answer {LONG}")
    newest = "this " * 390
    turn = await ask(worker.log, C, newest)
    found = await prompt(worker, turn, site=limited(context_tokens=900))
    assert said(found) == [newest]


async def test_shrinking_halves_the_budget(flows):
    worker, turn = await long_conversation(flows, 100)
    whole = await prompt(worker, turn, site=limited(context_tokens=8000))
    half = await prompt(worker, turn, site=limited(context_tokens=8000), shrink=True)
    assert half.tokens <= 4000 < whole.tokens <= 8000


async def test_a_site_may_want_as_much_as_the_model_can_read(flows):
    """120,000 model tokens of conversation in one request."""
    worker = await flows.worker()
    text = "word " * 380
    turns = 160
    for i in range(turns):
        await answer(worker.log, C, f"{i} {text}", f"{i} {text}")
    turn = await ask(worker.log, C, "the newest question")
    found = await prompt(worker, turn, site=limited(context_tokens=128_000))
    assert found.tokens >= 120_000 * 0.95
    assert len(said(found)) > 250


async def test_the_reply_language_is_that_of_the_newest_message(flows):
    worker = await flows.worker()
    await answer(worker.log, C, "question 1", "answer 1")
    tail = b'"author":"customer","id":"id-de","text":"Und nach Norwegen?","language":"de"}'
    accepted = await worker.log.accept(C, 0, id="id-de", message=tail, a_minute=100)
    assert await worker.context.language(C, accepted.written.turn) == "de"


async def test_a_notice_of_a_turn_that_answers_several_is_in_the_newest_ones_language(flows):
    worker = await flows.worker()
    told = Answer(worker.log, C, await ask(worker.log, C, "question 1"))
    for language in ("de", "fr"):
        tail = b'"author":"customer","id":"id-%b","text":"?","language":"%b"}' % (
            language.encode(), language.encode(),
        )  # fmt: skip
        await worker.log.accept(C, 0, id=f"id-{language}", message=tail, a_minute=100)
    turn = (await told.finish()).turn
    assert turn.answers == (3, 4)
    assert await worker.context.language(C, turn) == "fr"


async def test_a_message_that_is_no_more_is_spoken_of_in_english(flows):
    worker = await flows.worker()
    turn = await ask(worker.log, C, "question 1")
    flows.memory.conversations[C].messages.clear()
    assert await worker.context.language(C, turn) == "en"


@pytest.mark.parametrize("wanted", [None, 321])
def test_the_answers_limit_is_the_sites_or_the_common_one(wanted, flows):
    context = Context(None, context_tokens=12_000, answer_tokens=800)
    site = SITE if wanted is None else limited(answer_tokens=wanted)
    assert context.answer_tokens(site) == (wanted or 800)


async def test_redis_away_is_waited_for(flows):
    worker = await flows.worker()
    turn = await ask(worker.log, C, "question 1")
    fate = iter(["before", "after"] * 10)
    flows.memory.fault = lambda call: next(fate, "")
    assert said(await prompt(worker, turn)) == ["question 1"]
    fate = iter(["before"] * 5)
    assert await worker.context.language(C, turn) == "en"


async def test_another_conversation_is_never_told(flows):
    worker = await flows.worker()
    await begin(worker.log, "other")
    await answer(worker.log, "other", "a secret", "another secret")
    turn = await ask(worker.log, C, "question 1")
    found = await prompt(worker, turn)
    assert "secret" not in str(found.messages)
    assert estimate(found.messages[0]["content"]) > 0


# -- an answer that was begun -------------------------------------------------------------------


async def test_an_answer_to_go_on_with_stands_last_as_the_assistants_own(flows):
    worker = await flows.worker()
    await answer(worker.log, C, "question 1", "answer 1")
    turn = await ask(worker.log, C, "question 2")
    found = await worker.context.prompt(SITE, C, turn, continued="Half an ans")
    assert said(found) == ["question 1", "answer 1", "question 2", "Half an ans"]
    assert [message["role"] for message in found.messages[-2:]] == ["user", "assistant"]


async def test_an_answer_to_go_on_with_takes_room_from_what_was_said_before_its_question(flows):
    worker, turn = await long_conversation(flows, 100)
    site = limited(context_tokens=2500)
    begun = "half an answer " * 60
    without = await worker.context.prompt(site, C, turn)
    found = await worker.context.prompt(site, C, turn, continued=begun)
    assert said(found)[-2:] == ["the newest question", begun]
    assert len(said(found)) < len(said(without))
    assert found.tokens + 800 <= 2500
    tight = await worker.context.prompt(limited(context_tokens=900), C, turn, continued=begun)
    assert said(tight) == ["the newest question", begun]
