"""How often one address may ask for a session."""

import httpx
import pytest

from service.core.errors import TooManyRequests
from service.edge import rates
from service.edge.rates import Rates
from tests.support.instance import Instance


def test_an_address_gets_a_minutes_worth_and_then_a_share_at_a_time():
    counted = Rates(6)
    for _ in range(6):
        counted.take("203.0.113.9", 100.0)
    with pytest.raises(TooManyRequests):
        counted.take("203.0.113.9", 100.0)
    with pytest.raises(TooManyRequests):
        counted.take("203.0.113.9", 109.9)
    counted.take("203.0.113.9", 110.0)
    counted.take("203.0.113.10", 110.0)


def test_loopback_and_the_unknown_are_excepted():
    counted = Rates(1)
    for address in ("127.0.0.1", "::1", "unknown") * 3:
        counted.take(address, 1.0)
    assert not len(counted)


def test_addresses_whose_minute_is_over_are_forgotten(monkeypatch):
    monkeypatch.setattr(rates, "ADDRESSES", 3)
    counted = Rates(60)
    for number in range(3):
        counted.take(f"203.0.113.{number}", 10.0)
    counted.take("203.0.113.9", 500.0)
    assert len(counted) == 1


async def test_too_many_sessions_of_one_address_are_a_problem_that_passes(edge_valkey, simulator):
    settings = {"PARLEY_SESSIONS_PER_MINUTE": "2", "PARLEY_TRUSTED_PROXIES": "127.0.0.0/8"}
    with Instance(edge_valkey.url, simulator.url, workers=1, **settings) as instance:
        async with httpx.AsyncClient(base_url=instance.url, trust_env=False) as http:
            headers = {"origin": instance.url, "x-forwarded-for": "203.0.113.9"}
            replies = [
                await http.post("/v1/sessions", json={"site": "pk_demo"}, headers=headers)
                for _ in range(3)
            ]
            assert [reply.status_code for reply in replies] == [200, 200, 429]
            assert replies[2].json()["code"] == "too_many_requests"
            assert int(replies[2].headers["retry-after"]) > 0
            headers["x-forwarded-for"] = "203.0.113.10"
            other = await http.post("/v1/sessions", json={"site": "pk_demo"}, headers=headers)
            assert other.status_code == 200
