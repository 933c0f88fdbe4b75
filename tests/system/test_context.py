"""What the model is told of a long conversation, end to end."""

import zlib

import pytest

from service.core import wire
from service.core.tokens import estimate
from service.store.connection import Commands
from service.store.log import Log, library
from tests.support.client import customer
from tests.support.instance import Instance, Simulator
from tests.support.valkey import Valkey

PARAGRAPH = "Our parka keeps you warm down to minus twenty degrees, and is mended for free. " * 20
PAIRS = 115  # a question and an answer of some 515 model tokens each: 118,000 in all


async def talk(log: Log, conversation: str) -> list[str]:
    """A conversation of ``PAIRS`` questions and answers, as if it had been held."""
    said = []
    for number in range(PAIRS):
        question, answer = f"Question {number}. {PARAGRAPH}", f"Answer {number}. {PARAGRAPH}"
        accepted = await log.accept(
            conversation, -1, id=f"question-{number:04d}",
            message=wire.customer_message(f"question-{number:04d}", question, "en"),
            a_minute=6000,
        )  # fmt: skip
        turn = accepted.written.turn
        assert turn is not None
        appended = await log.append(
            conversation, accepted.written.top, turn, frames=[wire.delta(turn, 0, answer)],
            text=answer, length=wire.units(answer), crc32=zlib.crc32(answer.encode()),
        )  # fmt: skip
        following = type(turn)(
            turn.m,
            turn.fence,
            turn.step + 1,
            turn.attempt,
            turn.revision,
            turn.answers,
            None,
            False,
        )
        await log.finish(conversation, appended.top, following, reason="stop")
        said += [question, answer]
    return said


@pytest.mark.parametrize(("budget", "whole"), [(128_000, True), (12_000, False)])
async def test_a_long_conversation_is_sent_as_far_as_the_budget_reaches(budget, whole):
    with (
        Valkey() as valkey,
        Simulator(tier=50) as simulator,
        Instance(
            valkey.url, simulator.url, workers=1, PARLEY_CONTEXT_TOKENS=str(budget)
        ) as instance,
    ):
        async with customer(instance.url) as client, Commands.open(valkey.url, name="t") as redis:
            await redis.wait_up()
            log = Log(redis, session="somebody-else", functions=library())
            said = await talk(log, client.session["conversation"])
            newest = "And does it come in blue? " + "x" * 1900
            answer = await client.ask(newest)
            received = simulator.requests()[-1]
            messages = received.get("body", received)["messages"]
        assert answer["reason"] == "stop"
        contents = [message["content"] for message in messages[1:]]
        assert contents[-1] == newest
        tokens = sum(estimate(content) for content in contents)
        if whole:
            assert contents[:-1] == said and tokens > 115_000
        else:
            assert contents[:-1] == said[len(said) - len(contents) + 1 :]
            assert 6_000 < tokens <= 12_000
