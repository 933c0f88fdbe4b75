"""A full tier: who waits sees a place, and who would wait too long is told at once."""

import asyncio

from tests.support.client import Client, customer
from tests.support.instance import Instance, Simulator
from tests.support.valkey import Valkey

QUESTION = "Do you ship to Norway?"


async def test_customers_who_wait_see_their_place_and_are_served_in_turn():
    with (
        Valkey() as valkey,
        Simulator(tier=1, first_token_ms=500) as simulator,
        Instance(valkey.url, simulator.url, workers=2, PARLEY_TIER="1") as instance,
    ):
        clients = [await Client(instance.url).start() for _ in range(5)]
        await asyncio.gather(*(client.connect() for client in clients))
        await asyncio.gather(*(client.ask(QUESTION) for client in clients))
        places = [f for c in clients for f in c.frames if f["type"] == "queue.updated"]
        assert {place["reason"] for place in places} == {"model"}
        assert all(place["position"] >= 1 and place["eta_ms"] >= 0 for place in places)
        waited = [c for c in clients if any(f["type"] == "queue.updated" for f in c.frames)]
        assert len(waited) >= 3, "all but the first had to wait"
        assert simulator.stats()["max_concurrency"] == 1
        assert simulator.stats()["over_tier_starts"] == 0
        await asyncio.gather(*(client.stop() for client in clients))


async def test_every_socket_that_comes_later_sees_how_it_stands_whichever_worker_it_reaches():
    with (
        Valkey() as valkey,
        Simulator(tier=1, first_token_ms=6000) as simulator,
        Instance(valkey.url, simulator.url, workers=2, PARLEY_TIER="1") as instance,
    ):
        async with customer(instance.url) as holder, customer(instance.url) as waiting:
            await holder.send(QUESTION)
            await holder.got("answer.status", state="thinking")  # said once, and not again
            await waiting.send(QUESTION)
            await waiting.got("queue.updated", position=1)
            await later(holder, "answer.status", state="thinking")
            await later(waiting, "queue.updated", position=1)


async def later(customer: Client, kind: str, **fields: object) -> None:
    """Four more sockets, which reach one worker 1 time in 8, all get a frame of ``kind``."""
    for _ in range(4):
        client = Client(customer.url)
        client.session = customer.session
        await client.connect()
        await client.got(kind, within=3.0, **fields)
        await client.stop()


async def test_a_wait_that_would_be_too_long_is_refused_in_words():
    settings = {"PARLEY_TIER": "1", "PARLEY_QUEUE_WAIT_S": "2"}
    with (
        Valkey() as valkey,
        Simulator(tier=1, first_token_ms=1500) as simulator,
        Instance(valkey.url, simulator.url, workers=1, **settings) as instance,
    ):
        async with customer(instance.url) as first:
            await first.ask(QUESTION)  # the permits learn how long an answer takes
            clients = [await Client(instance.url).start() for _ in range(6)]
            await asyncio.gather(*(client.connect(locale="fr") for client in clients))
            answers = await asyncio.gather(*(client.ask(QUESTION) for client in clients))
            refused = [c for c, a in zip(clients, answers, strict=True) if a["reason"] == "failed"]
            assert refused
            for client in refused:
                notice = next(m for m in client.view.messages.values() if m["author"] == "notice")
                assert notice["code"] in ("queue_too_long", "permit_timeout")
                assert notice["language"] in ("en", "fr") and notice["text"]
            assert simulator.stats()["over_tier_starts"] == 0
            await asyncio.gather(*(client.stop() for client in clients))
