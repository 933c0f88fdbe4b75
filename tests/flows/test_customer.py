"""A customer's commands: each gets what the wire promises, or a typed refusal."""

import asyncio

import pytest

from service.core import commands
from service.core.errors import (
    BadCommand,
    BadId,
    ConversationGone,
    IdentifyUnavailable,
    NoSuchMessage,
    NotRetryable,
    RateLimited,
    StoreUnavailable,
    TextEmpty,
    TextTooLong,
)
from service.core.model import Site, SiteLimits
from service.flows.customer import Limits
from tests.support.eventually import eventually
from tests.support.flow_rig import SITE, C
from tests.support.log_rig import answer, decoded, kinds

ID = "id-000001"


def limited(**limits: int) -> Site:
    fields = {name: getattr(SITE, name) for name in SITE.__struct_fields__}
    return Site(**fields | {"limits": SiteLimits(**limits)})


@pytest.fixture
async def worker(flows):
    return await flows.worker(["Here."])


@pytest.fixture
async def client(worker):
    async with worker.client() as client:
        yield client


async def test_a_message_is_acknowledged_to_its_socket_and_logged_for_all(worker, client):
    [ack] = await worker.do(client, commands.SendMessage(ID, "Do you ship to Norway?"))
    assert ack == {"type": "message.ack", "id": ID, "m": 1, "offset": 1, "duplicate": False}
    [created, started] = decoded(await client.read())[:2]
    assert created["message"]["text"] == "Do you ship to Norway?"
    assert (started["m"], started["answers"]) == (2, [1])
    [again] = await worker.do(client, commands.SendMessage(ID, "Do you ship to Norway?"))
    assert again == ack | {"duplicate": True}


@pytest.mark.parametrize(
    "text, language",
    [
        ("Wie lange dauert der Versand nach Norwegen?", "de"),
        ("你们送货到挪威吗?", "zh"),
        ("هل تشحنون إلى النرويج؟", "ar"),
        ("ok", "en"),
    ],
)
async def test_the_language_of_a_message_is_guessed_and_logged(worker, client, text, language):
    await worker.do(client, commands.SendMessage(ID, text))
    assert decoded(await client.read())[0]["message"]["language"] == language


@pytest.mark.parametrize(
    "command, refusal",
    [
        (commands.SendMessage("short", "x"), BadId),
        (commands.SendMessage(ID, " \n "), TextEmpty),
        (commands.SendMessage(ID, "x" * 2001), TextTooLong),
        (commands.StopAnswer(9), NoSuchMessage),
        (commands.RateAnswer(1, 1), NoSuchMessage),
        (commands.RetryAnswer(1), NotRetryable),
        (commands.History(0), BadCommand),
        (commands.History(-5), BadCommand),
        (commands.Identify("a.b.c"), IdentifyUnavailable),
        (commands.Hello(1, "token"), BadCommand),
    ],
)
async def test_what_cannot_be_done_is_refused_by_its_type_and_logs_nothing(
    flows, worker, client, command, refusal
):
    with pytest.raises(refusal):
        await worker.do(client, command)
    assert await flows.entries() == []
    assert len(worker.turns) == 0


async def test_a_site_may_have_limits_of_its_own(worker, client):
    site = limited(message_units=5, messages_per_minute=1)
    with pytest.raises(TextTooLong):
        await worker.do(client, commands.SendMessage(ID, "123456"), site)
    await worker.do(client, commands.SendMessage(ID, "12345"), site)
    with pytest.raises(RateLimited) as refused:
        await worker.do(client, commands.SendMessage("id-000002", "12345"), site)
    assert refused.value.retry_ms > 0


def test_limits_are_the_common_ones_where_a_site_says_nothing():
    limits = Limits(2000, 20)
    assert (limits.units(SITE), limits.a_minute(SITE)) == (2000, 20)


async def test_a_rating_is_logged(worker, client):
    await worker.say(client, "Hello")
    await worker.quiet()
    assert await worker.do(client, commands.RateAnswer(2, -1)) == []
    rated = decoded(await client.read())[-1]
    assert (rated["type"], rated["m"], rated["value"]) == ("answer.rated", 2, -1)


async def test_history_is_the_fifty_before_and_says_whether_there_is_more(flows, worker, client):
    for i in range(60):
        await answer(worker.log, C, f"question-{i}", "x")
    [newest] = await worker.do(client, commands.History(101))
    assert [m["m"] for m in newest["messages"]] == list(range(51, 101))
    assert newest["more"] is True
    [oldest] = await worker.do(client, commands.History(51))
    assert [m["m"] for m in oldest["messages"]] == list(range(1, 51))
    assert oldest["more"] is False
    [none] = await worker.do(client, commands.History(1))
    assert none == {"type": "history", "messages": [], "more": False}


@pytest.mark.parametrize("contact", ["help@kestrel.example", ""])
async def test_where_nobody_can_come_a_handoff_tells_how_else_to_reach_the_shop(
    worker, client, contact
):
    fields = {name: getattr(SITE, name) for name in SITE.__struct_fields__}
    await worker.do(client, commands.RequestHandoff(), Site(**fields | {"contact": contact}))
    [created] = decoded(await client.read())
    assert created["message"]["author"] == "notice"
    assert created["message"]["code"] == "handoff_unavailable"
    assert contact in created["message"]["text"]
    assert "{" not in created["message"]["text"]
    assert (await worker.log.attach(C, None)).status == "assisted"


async def test_ending_a_conversation_resolves_it_and_a_message_reopens_it(worker, client):
    await worker.do(client, commands.EndConversation())
    assert decoded(await client.read())[-1]["status"] == "resolved"
    await worker.say(client, "One more thing")
    await worker.quiet()
    assert kinds(await client.read()) == [
        "conversation.updated", "message.created", "conversation.updated", "answer.started",
        "answer.delta", "answer.done",
    ]  # fmt: skip


async def test_a_ping_is_answered_and_what_is_for_people_at_the_desk_is_taken(worker, client):
    assert await worker.do(client, commands.Ping(7)) == [{"type": "pong", "n": 7}]
    assert await worker.do(client, commands.Typing(True)) == []
    assert await worker.do(client, commands.Read(3)) == []


async def test_redis_away_is_told_and_nothing_is_acknowledged(flows, worker, client):
    flows.memory.fault = lambda call: "before"
    for command in (
        commands.SendMessage(ID, "Hello"), commands.StopAnswer(1), commands.RateAnswer(2, 1),
        commands.RetryAnswer(2), commands.History(5), commands.RequestHandoff(),
        commands.EndConversation(),
    ):  # fmt: skip
        with pytest.raises(StoreUnavailable):
            await worker.do(client, command)
    assert await worker.do(client, commands.Ping(1)) == [{"type": "pong", "n": 1}]
    flows.memory.fault = lambda call: ""


async def test_a_conversation_that_is_gone_is_told(flows, worker, client):
    flows.memory.conversations.clear()
    with pytest.raises(ConversationGone):
        await worker.do(client, commands.SendMessage(ID, "Hello"))


async def test_a_message_whose_socket_goes_while_it_is_accepted_is_answered_all_the_same(
    flows, worker
):
    accept, begun, go_on = worker.log.accept, asyncio.Event(), asyncio.Event()

    async def slowly(*args, **more):
        accepted = await accept(*args, **more)
        begun.set()
        await go_on.wait()
        return accepted

    worker.log.accept = slowly
    async with worker.client() as client:
        sending = asyncio.create_task(worker.say(client, "Do you ship to Norway?"))
        await begun.wait()
        sending.cancel()
        await asyncio.wait([sending])
    go_on.set()
    await eventually(lambda: flows.messages()[1:] == [("assistant", "Here.")])
    assert flows.memory.conversations[C].fence == 1, "nobody had to adopt it"
    assert len(worker.feeds) == 0 and not worker.feeds._healing
