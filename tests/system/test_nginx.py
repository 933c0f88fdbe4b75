"""deploy/nginx.conf as it is shipped, before two `parley serve` on one Valkey."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from tests.support import programs
from tests.support.client import Client, customer
from tests.support.eventually import eventually
from tests.support.instance import ROOT, Instance, Simulator
from tests.support.valkey import Valkey

pytestmark = pytest.mark.nginx
STOP_S = 10


def configuration(folder: Path, port: int, hosts: list[str]) -> Path:
    """The shipped file with the test's addresses in its two marked places."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    servers = "\n".join(f"server {host};" for host in hosts)
    text, places = re.subn(
        r"# -- addresses of the Parley hosts.*?# --", servers, text, flags=re.DOTALL
    )
    assert places == 1
    text, places = re.subn(
        r"# -- address of this balancer.*?# --", f"listen 127.0.0.1:{port};", text, flags=re.DOTALL
    )
    assert places == 1
    text = text.replace("/tmp/", f"{folder}/")
    path = folder / "nginx.conf"
    path.write_text(text)
    return path


@pytest.fixture
async def balanced(tmp_path, free_port):
    """The URL of an nginx before two instances."""
    trusted = {"PARLEY_TRUSTED_PROXIES": "127.0.0.0/8"}
    with (
        Valkey() as valkey,
        Simulator(tier=50, first_token_ms=50, tokens_per_second=100) as simulator,
        Instance(valkey.url, simulator.url, workers=1, **trusted) as one,
        Instance(valkey.url, simulator.url, workers=1, **trusted) as two,
    ):
        path = configuration(tmp_path, free_port, [one.host, two.host])
        words = [programs.nginx(), "-c", str(path), "-p", str(tmp_path), "-g", "daemon off;"]
        process = await asyncio.create_subprocess_exec(*words)
        url = f"http://127.0.0.1:{free_port}"
        try:
            await eventually(lambda: answers(url), within=10.0)
            yield url, (one, two)
        finally:
            process.terminate()
            async with asyncio.timeout(STOP_S):
                await process.wait()


async def answers(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as http:
        try:
            return (await http.get(f"{url}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False


async def test_the_journey_goes_through_a_balancer_without_sticky_sessions(balanced):
    url, hosts = balanced
    async with customer(url) as client:
        first = await client.ask("How long does shipping to Norway take?")
        name = await client.send("And what does it cost?")
        await client.got("answer.delta", m=4)
        await client.drop()
        await client.connect()
        second = await client.answer_to(client.acks[name]["m"])
        assert first["text"] and second["text"]
    sockets = await asyncio.gather(*(another(url) for _ in range(12)))
    spread = [await count(host.url) for host in hosts]
    assert all(spread), f"both hosts have customers: {spread}"
    await asyncio.gather(*(client.stop() for client in sockets))


async def another(url: str) -> Client:
    client = await Client(url).start()
    await client.connect()
    return client


async def count(url: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"{url}/metrics")).text
    return sum(float(v) for v in re.findall(r"^parley_sockets(?:\{[^}]*\})? (\S+)", text, re.M))


async def test_metrics_are_not_for_the_public_but_the_widget_is(balanced):
    url, _ = balanced
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{url}/widget.js")).status_code == 200
        assert (await http.get(f"{url}/metrics")).status_code == 200  # from this machine
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    assert "deny all;" in text.partition("location = /metrics")[2]
