"""Two hundred customers on two workers, at tier 50: the main promise in one run."""

import asyncio
from collections import Counter

from tests.support.client import Client
from tests.support.instance import Instance, Simulator
from tests.support.valkey import Valkey

CUSTOMERS = 200
TIER = 50
WITHIN_S = 90.0
QUESTIONS = (
    "How long does shipping to Norway take?",
    "我可以退货吗？",
    "كم تكلفة الشحن إلى النرويج؟",
    "Wie lange habe ich Zeit für eine Rückgabe?",
)


async def ask_twice(client: Client, number: int) -> None:
    """Two questions, the second before the first one's answer has ended for every other one."""
    question = QUESTIONS[number % len(QUESTIONS)]
    first = await client.send(question, id=f"first-{number:05d}")
    await client.until(lambda: first in client.acks, within=WITHIN_S)
    if number % 2:
        await client.answer_to(client.acks[first]["m"], within=WITHIN_S)
    second = await client.send(question, id=f"second-{number:05d}")
    await client.until(lambda: second in client.acks, within=WITHIN_S)
    for name in (first, second):
        await client.answer_to(client.acks[name]["m"], within=WITHIN_S)


async def test_two_hundred_customers_stay_within_the_tier_and_each_is_answered_once():
    with (
        Valkey() as valkey,
        Simulator(tier=TIER, first_token_ms=100, tokens_per_second=200) as simulator,
        Instance(valkey.url, simulator.url, workers=2) as instance,
    ):
        clients = [Client(instance.url) for _ in range(CUSTOMERS)]
        for start in range(0, CUSTOMERS, 20):
            group = clients[start : start + 20]
            await asyncio.gather(*(client.start() for client in group))
            await asyncio.gather(*(client.connect() for client in group))
        await asyncio.gather(*(ask_twice(c, n) for n, c in enumerate(clients)))
        await check_views(clients)
        await asyncio.gather(*(client.stop() for client in clients))
        stats = simulator.stats()
    assert stats["max_concurrency"] <= TIER
    assert stats["over_tier_starts"] == 0
    assert stats["max_concurrency"] >= TIER * 0.9, "the crowd was to fill the tier"


async def check_views(clients: list[Client]) -> None:
    """Every accepted message answered exactly once; every text equal to a fresh snapshot's."""
    for client in clients:
        accepted = sorted(ack["m"] for ack in client.acks.values())
        answered = Counter(m for answer in client.view.answers() for m in answer["answers"])
        assert answered == Counter(accepted)  # each done had its length and crc32 checked
        assert {done["reason"] for done in client.view.done.values()} == {"stop"}
        other = Client(client.url)
        other.session = client.session
        await other.connect(fresh=True)
        snapshot = await other.got("snapshot")
        shown = {m: message["text"] for m, message in client.view.messages.items()}
        assert {message["m"]: message["text"] for message in snapshot["messages"]} == shown
        await other.stop()
