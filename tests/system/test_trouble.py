"""Workers die, Redis goes away, the model fails: nothing that was acknowledged is lost."""

import os
import re
import signal
import urllib.request

import httpx
import pytest

from service.core.texts import text as words
from tests.support.client import Client, customer
from tests.support.eventually import eventually
from tests.support.instance import Instance, Simulator
from tests.support.valkey import Valkey

QUESTION = "How long does shipping to Norway take?"


@pytest.fixture(scope="module")
def simulator():
    with Simulator(tier=50) as running:
        yield running


@pytest.fixture
def slowly(simulator):
    """Answers that last a few seconds, and no faults of other tests."""
    simulator.control(reset=True, first_token_ms=100, tokens_per_second=25)
    return simulator


async def reconnect(client: Client) -> None:
    """As clients do: again and again, with the position that this one has."""

    async def connected() -> bool:
        try:
            await client.connect()
        except (OSError, AssertionError):
            return False
        return client.close_code is None

    await eventually(connected, within=20.0, every=0.2)


async def test_an_answer_goes_on_when_the_worker_that_writes_it_is_killed(slowly):
    with Valkey() as valkey, Instance(valkey.url, slowly.url, workers=2) as instance:
        async with customer(instance.url) as client:
            name = await client.send(QUESTION)
            await client.until(lambda: len(client.view.messages.get(2, {}).get("text", "")) > 60)
            shown = client.view.messages[2]["text"]
            for worker in owners(valkey, instance, client):
                os.kill(worker, signal.SIGKILL)
            await client.closed()
            await reconnect(client)
            answer = await client.answer_to(client.acks[name]["m"], within=30.0)
            assert answer["reason"] == "stop" and answer["text"].startswith(shown)
            assert answer["attempt"] == 2
        await eventually(lambda: len(instance.workers()) == 2, within=20.0, every=0.3)
        await eventually(lambda: adoptions(instance) == 1.0)


def adoptions(instance: Instance) -> float:
    """What `/metrics` says about it; one worker answers for all of them."""
    with urllib.request.urlopen(f"{instance.url}/metrics", timeout=10) as reply:
        found = re.search(r"^parley_adoptions_total ([\d.]+)$", reply.read().decode(), re.MULTILINE)
    assert found
    return float(found[1])


def owners(valkey: Valkey, instance: Instance, client: Client) -> list[int]:
    """The process that owns the client's turn."""
    with valkey.client() as redis:
        metas = list(redis.scan_iter(f"*:meta:{client.session['conversation']}"))
        owner = redis.hget(metas[0], "owner").decode()
        card = redis.get(f"parley:worker:{owner}").decode()
    return [w["pid"] for w in instance.workers() if f'"{w["name"]}"' in card.replace(" ", "")]


async def test_an_answer_survives_redis_going_away_in_its_middle(slowly, tmp_path):
    with (
        Valkey(tmp_path, durable=True) as valkey,
        Instance(valkey.url, slowly.url, workers=2) as instance,
    ):
        async with customer(instance.url) as client:
            name = await client.send(QUESTION)
            await client.until(lambda: len(client.view.messages.get(2, {}).get("text", "")) > 30)
            valkey.kill()
            refused = await client.send("And what does it cost?")
            error = await client.got("error")
            assert error["code"] == "unavailable" and error["retry_ms"] > 0
            assert error["ref"] == refused and error["fatal"] is False
            valkey.start()
            answer = await client.answer_to(client.acks[name]["m"])
            assert answer["reason"] == "stop"

            async def accepted() -> bool:
                await client.send("And what does it cost?", id=refused)
                return refused in client.acks

            await eventually(accepted, within=10.0, every=0.3)
            await client.answer_to(client.acks[refused]["m"])


async def test_who_comes_while_redis_is_away_is_told_so_and_is_not_kept_waiting(simulator):
    with Valkey() as valkey, Instance(valkey.url, simulator.url, workers=1) as instance:
        client = await Client(instance.url).start()
        valkey.kill()
        hello = {"type": "hello", "v": 1, "token": client.session["token"], "locale": "de"}
        await client.connect(hello=False)
        await client.say(hello)
        error = await client.got("error", within=5.0)
        assert error["code"] == "unavailable" and error["fatal"] is False and error["retry_ms"] > 0
        assert error["message"] == words("unavailable", "de")
        assert await client.closed() == 4430
        async with httpx.AsyncClient(base_url=instance.url, trust_env=False) as http:
            reply = await http.post(
                "/v1/sessions", json={"site": "pk_demo"}, headers={"origin": instance.url}
            )
        assert (reply.status_code, reply.json()["code"]) == (503, "service_unavailable")
        assert int(reply.headers["retry-after"]) > 0


async def test_a_paused_redis_delays_an_answer_and_changes_nothing(slowly):
    with Valkey() as valkey, Instance(valkey.url, slowly.url, workers=2) as instance:
        async with customer(instance.url) as client:
            name = await client.send(QUESTION)
            await client.until(lambda: len(client.view.messages.get(2, {}).get("text", "")) > 30)
            valkey.pause()
            try:
                await client.send("And what does it cost?")
            finally:
                valkey.resume()
            answer = await client.answer_to(client.acks[name]["m"])
            assert answer["reason"] == "stop" and answer["attempt"] == 1


FAILING = {
    **dict.fromkeys(("1000", "1113", "1210", "1305", "500", "html502"), "failed"),
    "1301": "withdrawn",
}
BREAKING = {"eof": "failed", "network_error": "failed", "error_inband": "failed"} | {
    "sensitive": "withdrawn"
}


@pytest.fixture(scope="module")
def running(simulator):
    with Valkey() as valkey, Instance(valkey.url, simulator.url, workers=1) as instance:
        yield instance


@pytest.mark.parametrize(("fault", "reason"), [*FAILING.items(), *BREAKING.items()])
async def test_a_model_that_fails_ends_in_words_with_the_contact(running, simulator, fault, reason):
    simulator.control(reset=True, first_token_ms=0, tokens_per_second=0)
    after = {"after": 3} if fault in BREAKING else {}
    simulator.control(faults=[{"kind": fault, "times": 10, **after}])
    async with customer(running.url, locale="zh-CN") as client:
        answer = await client.ask("你们送货到挪威吗？")
        assert answer["reason"] == reason
        assert bool(answer["text"]) == (fault in BREAKING and reason == "failed")
        notice = next(m for m in client.view.messages.values() if m["author"] == "notice")
        assert any("\u4e00" <= c <= "\u9fff" for c in notice["text"]), "in the customer's language"
        if reason == "failed":
            assert "@" in notice["text"], "with the site's contact"


async def test_a_model_over_its_tier_is_asked_again_until_it_answers(running, simulator):
    simulator.control(reset=True, first_token_ms=0, tokens_per_second=0)
    simulator.control(faults=[{"kind": "1302", "times": 3}])
    async with customer(running.url) as client:
        answer = await client.ask(QUESTION)
        assert answer["reason"] == "stop" and answer["text"]


async def test_a_prompt_that_is_too_long_is_asked_again_with_less(running, simulator):
    simulator.control(reset=True, first_token_ms=0, tokens_per_second=0)
    simulator.control(faults=[{"kind": "1261", "times": 1}])
    async with customer(running.url) as client:
        assert (await client.ask(QUESTION))["reason"] == "stop"


async def test_a_model_that_stalls_is_given_up_and_its_words_are_kept(running, simulator):
    simulator.control(reset=True, first_token_ms=0, tokens_per_second=0)
    simulator.control(faults=[{"kind": "stall", "after": 3, "times": 1}])
    async with customer(running.url) as client:
        answer = await client.ask(QUESTION, within=40.0)
        assert answer["reason"] == "failed" and answer["text"]


async def test_a_follow_up_that_names_nothing_brings_the_whole_first_answer(running, simulator):
    simulator.control(reset=True, first_token_ms=0, tokens_per_second=0)
    async with customer(running.url) as client:
        first = await client.ask("Which colours does the tent come in?")
        await client.ask("and that one in blue?")
        received = simulator.requests()[-1]
        messages = received.get("body", received)["messages"]
        assert {"role": "user", "content": "Which colours does the tent come in?"} in messages
        assert {"role": "assistant", "content": first["text"]} in messages
        assert messages[-1] == {"role": "user", "content": "and that one in blue?"}


async def test_an_answer_is_seen_on_the_worker_that_does_not_write_it(slowly):
    with Valkey() as valkey, Instance(valkey.url, slowly.url, workers=2) as instance:
        async with customer(instance.url) as writer:
            others = []
            for _ in range(8):
                other = Client(instance.url)
                other.session = writer.session
                others.append(other)
            await others[0].connect()
            answer = await writer.ask(QUESTION)
            for other in others[1:4]:
                await other.connect()
                await other.until(lambda other=other: 2 in other.view.messages)
                assert other.view.messages[2]["text"] == answer["text"]
                await other.stop()
            await others[0].until(lambda: others[0].view.pos == writer.view.pos)
            assert others[0].view.messages == writer.view.messages
            await others[0].stop()
