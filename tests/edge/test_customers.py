"""The customers' socket: hello, commands, and everything that can be wrong with them."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.client import Client, customer, note

HELLO_LATE_S = 10.0


async def open_socket(instance, **options):
    wanted = {"origin": instance.url, "subprotocols": ["parley.v1"], "compression": None}
    return note(await connect(instance.websocket, proxy=None, **{**wanted, **options}))


async def test_a_question_is_answered_delta_by_delta(instance):
    async with customer(instance.url) as client:
        answer = await client.ask("How long does shipping to Norway take?")
        assert "5 days" in answer["text"] and answer["reason"] == "stop"
        assert len([f for f in client.frames if f["type"] == "answer.delta"]) > 1
        assert [f["o"] for f in client.frames if "o" in f] == list(range(1, client.view.pos[1] + 1))


async def test_hello_is_answered_by_welcome_and_a_snapshot(instance):
    async with customer(instance.url) as client:
        welcome, snapshot = client.frames[:2]
        assert welcome["type"] == "welcome" and welcome["mode"] == "snapshot"
        assert welcome["conversation"] == client.session["conversation"]
        assert welcome["limits"]["message_units"] == 2000 and welcome["heartbeat_ms"] > 0
        assert snapshot["messages"] == [] and snapshot["more"] is False
        assert welcome["pos"] == snapshot["pos"]


async def test_hello_again_with_a_position_replays_what_is_missing(instance):
    async with customer(instance.url) as client:
        await client.ask("Do you ship to Norway?")
        epoch, top = client.view.pos
        count = len(client.frames)
        hello = {"type": "hello", "v": 1, "token": client.session["token"], "pos": [epoch, 2]}
        await client.say(hello)
        await client.until(lambda: len(client.frames) >= count + 1 + top - 2)
        again = client.frames[count:]
        assert again[0]["mode"] == "replay"
        assert [frame["o"] for frame in again[1:]] == list(range(3, top + 1))


@pytest.mark.parametrize("pos", [["other-epoch", 1], "past the end"])
async def test_a_position_of_another_log_is_reset(instance, pos):
    async with customer(instance.url) as client:
        wanted = [client.view.pos[0], 999] if isinstance(pos, str) else pos
        await client.say({"type": "hello", "v": 1, "token": client.session["token"], "pos": wanted})
        await client.got("welcome", mode="reset")


async def test_hello_again_in_another_language_is_answered_in_that_one(instance):
    async with customer(instance.url, locale="de") as client:
        await client.say({"type": "nonsense"})
        german = await client.got("error")
        token = client.session["token"]
        await client.say({"type": "hello", "v": 1, "token": token, "locale": "fr-CH"})
        count = len(client.frames)
        await client.say({"type": "nonsense"})
        await client.until(lambda: len([f for f in client.frames if f["type"] == "error"]) == 2)
        french = next(f for f in client.frames[count:] if f["type"] == "error")
        assert french["message"] != german["message"]


async def test_hello_again_in_an_unknown_version_closes_4505(instance):
    async with customer(instance.url) as client:
        await client.say({"type": "hello", "v": 2, "token": client.session["token"]})
        assert await client.closed() == 4505


async def test_two_sockets_of_one_customer_see_the_same(instance):
    async with customer(instance.url) as one:
        two = Client(instance.url)
        two.session = one.session
        await two.connect()
        await one.ask("What does shipping to Norway cost?")
        await two.until(lambda: two.view.pos == one.view.pos)
        assert two.view.messages == one.view.messages
        await two.stop()


async def test_the_same_id_again_gives_the_same_ack_and_no_second_message(instance):
    async with customer(instance.url) as client:
        name = await client.send("Do you ship to Norway?")
        first = await client.got("message.ack", id=name)
        await client.answer_to(first["m"])
        await client.send("Do you ship to Norway?", id=name)
        second = await client.got("message.ack", id=name, duplicate=True)
        assert (second["m"], second["offset"]) == (first["m"], first["offset"])
        assert [m["author"] for m in client.view.messages.values()] == ["customer", "assistant"]


async def test_the_same_id_from_two_sockets_at_once_is_one_message(instance):
    async with customer(instance.url) as one:
        two = Client(instance.url)
        two.session = one.session
        await two.connect()
        await asyncio.gather(
            one.send("To Norway?", id="one-and-the-same"),
            two.send("To Norway?", id="one-and-the-same"),
        )
        acks = [await c.got("message.ack", id="one-and-the-same") for c in (one, two)]
        assert acks[0]["m"] == acks[1]["m"]
        assert sorted(ack["duplicate"] for ack in acks) == [False, True]
        await one.answer_to(acks[0]["m"])
        assert len(one.view.messages) == 2
        await two.stop()


async def test_messages_sent_while_an_answer_streams_are_answered_together_next(
    instance, simulator
):
    simulator.control(first_token_ms=300, tokens_per_second=100)
    async with customer(instance.url) as client:
        first = await client.send("How long does shipping to Norway take?")
        await client.got("answer.started")
        later = [await client.send("And what does it cost?"), await client.send("In euro?")]
        await client.until(lambda: all(name in client.acks for name in (first, *later)))
        answer = await client.answer_to(client.acks[later[1]]["m"])
        assert answer["answers"] == [client.acks[name]["m"] for name in later]


async def test_a_stop_ends_the_answer_with_what_it_has(instance, simulator):
    simulator.control(first_token_ms=0, tokens_per_second=20)
    async with customer(instance.url) as client:
        await client.send("How long does shipping to Norway take?")
        delta = await client.got("answer.delta")
        await client.say({"type": "answer.stop", "m": delta["m"]})
        done = await client.got("answer.done", m=delta["m"])
        assert done["reason"] == "stopped" and done["length"] > 0


async def test_a_stopped_answer_can_be_asked_anew_and_rated(instance, simulator):
    simulator.control(first_token_ms=0, tokens_per_second=20)
    async with customer(instance.url) as client:
        await client.send("How long does shipping to Norway take?")
        m = (await client.got("answer.delta"))["m"]
        await client.say({"type": "answer.stop", "m": m})
        await client.got("answer.done", m=m)
        simulator.control(tokens_per_second=0)
        await client.say({"type": "answer.retry", "m": m})
        started = await client.got("answer.started", replaces=m)
        await client.got("answer.done", m=started["m"], reason="stop")
        await client.say({"type": "answer.rate", "m": started["m"], "value": -1})
        await client.got("answer.rated", m=started["m"], value=-1)
        await client.say({"type": "answer.retry", "m": m})
        assert (await client.got("error"))["code"] == "not_retryable"


async def test_history_gives_what_is_older_than_the_snapshot(instance):
    async with customer(instance.url) as client:
        await client.ask("Do you ship to Norway?")
        await client.say({"type": "history", "before": 2})
        history = await client.got("history")
        assert [m["m"] for m in history["messages"]] == [1] and history["more"] is False


async def test_nobody_can_come_so_a_handoff_gives_the_contact(instance):
    async with customer(instance.url, locale="de") as client:
        await client.say({"type": "handoff.request"})
        created = await client.got("message.created")
        assert created["message"]["author"] == "notice"
        assert "help@shop.example" in created["message"]["text"]
        assert client.view.status == "assisted"


async def test_a_conversation_that_was_ended_is_reopened_by_a_message(instance):
    async with customer(instance.url) as client:
        await client.say({"type": "conversation.end"})
        await client.got("conversation.updated", status="resolved")
        await client.ask("Do you ship to Norway?")
        assert client.view.status == "assisted"


async def test_ping_typing_and_read_do_what_they_should(instance):
    async with customer(instance.url) as client:
        await client.say(
            {"type": "typing", "on": True}, {"type": "read", "offset": 0}, {"type": "ping", "n": 4}
        )
        assert (await client.got("pong"))["n"] == 4
        assert not [frame for frame in client.frames if frame["type"] == "error"]


async def test_an_array_of_frames_is_taken_in_order(instance):
    client = await Client(instance.url).start()
    await client.connect(hello=False)
    await client.say(
        [
            {"type": "hello", "v": 1, "token": client.session["token"]},
            {"type": "ping", "n": 1},
            {"type": "ping", "n": 2},
        ]
    )
    await client.got("pong", n=2)
    kinds = [frame["type"] for frame in client.frames]
    assert kinds.index("welcome") < kinds.index("pong")
    await client.stop()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"type": "message.send", "id": "short", "text": "hi"}, "bad_id"),
        ({"type": "message.send", "id": "ok-ok-ok-ok", "text": "  \n"}, "text_empty"),
        ({"type": "message.send", "id": "ok-ok-ok-ok", "text": "x" * 2001}, "text_too_long"),
        ({"type": "message.send", "id": "ok-ok-ok-ok"}, "bad_command"),
        ({"type": "answer.stop", "m": "2"}, "bad_command"),
        ({"type": "answer.stop", "m": 99}, "no_such_message"),
        ({"type": "answer.rate", "m": 1, "value": 5}, "bad_command"),
        ({"type": "answer.rate", "m": 99, "value": 1}, "no_such_message"),
        ({"type": "answer.retry", "m": 1}, "not_retryable"),
        ({"type": "history", "before": 0}, "bad_command"),
        ({"type": "identify", "jwt": "a.b.c"}, "identify_unavailable"),
        ({"type": "make.coffee"}, "unknown_command"),
        ({"no": "type"}, "unknown_command"),
    ],
)
async def test_a_wrong_command_is_told_in_the_customers_language(instance, frame, code):
    async with customer(instance.url, locale="de-DE") as client:
        await client.say(frame)
        error = await client.got("error")
        assert error["code"] == code and error["fatal"] is True
        assert error["ref"] == frame["id"] if "id" in frame else "ref" not in error
        assert error["message"] and error["message"] != code
        await client.say({"type": "ping", "n": 1})
        await client.got("pong")  # and the socket goes on


async def test_two_thousand_units_are_not_too_long_and_an_emoji_counts_two(instance):
    async with customer(instance.url) as client:
        await client.send("😀" * 1000, id="thousand-emoji")
        await client.got("message.ack", id="thousand-emoji")
        await client.send("😀" * 1000 + "x", id="one-too-many")
        assert (await client.got("error"))["ref"] == "one-too-many"


async def test_a_burst_is_slowed_down_and_nothing_acknowledged_is_lost(instance):
    async with customer(instance.url, site="pk_small") as client:
        names = [await client.send(f"hello {n}") for n in range(5)]
        error = await client.got("error")
        assert error["code"] == "rate_limited" and error["fatal"] is False
        assert 0 < error["retry_ms"] <= 60_000
        await client.until(lambda: len(client.acks) == 3)
        await client.until(
            lambda: (
                {m for a in client.view.answers() for m in a["answers"] if a["done"]}
                >= {ack["m"] for ack in client.acks.values()}
            )
        )
        assert set(client.acks) == set(names[:3])


async def test_half_an_emoji_becomes_a_replacement_character(instance):
    async with customer(instance.url) as client:
        await client.say('{"type":"message.send","id":"half-an-emoji","text":"a\\ud83db"}')
        await client.got("message.ack", id="half-an-emoji")
        assert client.view.messages[1]["text"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x00\x01", 4508),
        ("{", 4508),
        ("7", 4508),
        ("[]", 4508),
        ('["hello"]', 4508),
        ('{"type":"ping","n":"' + "x" * 17_000 + '"}', 4508),
        ('{"type":"ping","n":"' + "x" * 70_000 + '"}', 1009),
    ],
)
async def test_a_frame_that_is_none_closes_the_socket(instance, message, code):
    async with customer(instance.url) as client:
        await client.say(message)
        assert await client.closed() == code


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "ping", "n": 1}, 4408),
        ({"type": "hello", "v": 1}, 4408),
        ({"type": "hello", "v": 2, "token": "x"}, 4505),
        ({"type": "hello", "v": 1, "token": "nobodys"}, 4501),
        ({"type": "hello", "v": 1, "token": ""}, 4501),
    ],
)
async def test_a_hello_that_is_none_closes_the_socket(instance, first, code):
    client = Client(instance.url)
    await client.connect(hello=False)
    await client.say(first)
    assert await client.closed() == code


async def test_no_hello_closes_4408(instance):
    client = Client(instance.url)
    await client.connect(hello=False)
    assert await client.closed(within=HELLO_LATE_S) == 4408


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://[", None])
async def test_a_foreign_or_missing_origin_is_refused_before_the_handshake(instance, origin):
    with pytest.raises(InvalidStatus) as refused:
        await open_socket(instance, origin=origin)
    assert refused.value.response.status_code == 403


async def test_a_token_serves_its_own_sites_origins_only(instance):
    client = await Client(instance.url, site="pk_other").start()
    socket = await open_socket(instance, origin="https://shop.example")
    hello = {"type": "hello", "v": 1, "token": client.session["token"]}
    await socket.send(json.dumps(hello))
    await socket.wait_closed()
    assert socket.close_code == 4501


async def test_an_unknown_subprotocol_closes_4505(instance):
    socket = await open_socket(instance, subprotocols=["parley.v9"])
    await socket.wait_closed()
    assert socket.close_code == 4505


async def test_the_sixth_socket_of_a_customer_replaces_the_oldest(instance):
    async with customer(instance.url) as first:
        others = []
        for _ in range(5):
            other = Client(instance.url)
            other.session = first.session
            await other.connect()
            others.append(other)
        assert await first.closed() == 4409
        for other in others:
            assert other.close_code is None
            await other.stop()


async def test_an_expired_or_revoked_token_closes_4501(instance, edge_valkey):
    client = await Client(instance.url).start()
    with edge_valkey.client() as redis:
        for key in redis.scan_iter("parley:token:*", count=1000):
            redis.delete(key)
    await client.connect(hello=False)
    await client.say({"type": "hello", "v": 1, "token": client.session["token"]})
    assert await client.closed() == 4501


async def test_a_handle_that_is_used_by_somebody_else_later_ends_every_socket(
    instance, edge_valkey
):
    client = await Client(instance.url).start()
    first = client.session["resume"]
    await client.start(resume=first)  # a successor of it is used next
    await client.start(resume=client.session["resume"])
    await client.connect()
    with edge_valkey.client() as redis:
        (key,) = redis.scan_iter(f"*:handles:{client.session['conversation']}", count=1000)
        for digest, record in redis.hgetall(key).items():
            born, parent, retired = record.decode().split(",")
            long_ago = str(int(retired) - 61_000) if retired else ""
            redis.hset(key, digest, f"{born},{parent},{long_ago}")
    thief = await Client(instance.url).start(resume=first)
    assert thief.session["resumed"] is False
    assert await client.closed() == 4501


async def test_a_waiting_customer_is_told_the_place_and_that_the_assistant_thinks(
    instance, simulator
):
    simulator.control(first_token_ms=200)
    async with customer(instance.url) as client:
        await client.send("Do you ship to Norway?")
        status = await client.got("answer.status")
        assert status["state"] == "thinking"


async def test_heartbeats_come_while_an_answer_runs(instance, simulator):
    simulator.control(first_token_ms=3500)
    async with customer(instance.url) as client:
        await client.send("Do you ship to Norway?")
        await client.got("heartbeat", within=4)
        await client.say({"type": "answer.stop", "m": 2})
        await client.got("answer.done")


async def test_nothing_that_people_write_and_no_token_stands_in_a_log(instance, simulator):
    async with customer(instance.url) as client:
        await client.ask("Canary-4711 asks: do you ship to Norway?")
        await client.say({"type": "message.send", "id": "canary-id", "text": "Canary-4712" * 300})
        await client.got("error")
    conversation = client.session["conversation"]
    instance.program.said(rf'("conversation": "{conversation}")')  # there is something logged
    log = instance.program.log.read_text("utf-8", "replace")
    for secret in ("Canary", client.session["token"], client.session["resume"], "5 days"):
        assert secret not in log
