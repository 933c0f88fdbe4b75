"""What an operator sees of what runs: `parley permits` beside `parley demo`, and `/metrics`."""

import json
import re
import subprocess
import sys
import urllib.request

import pytest

from tests.support.client import customer
from tests.support.instance import ROOT, Demo, environ

TIER = 50


@pytest.fixture(scope="module")
def demo():
    with Demo() as running:
        yield running


def parley(demo, *words, **settings):
    """A command in another terminal: it knows PARLEY_DATA and nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "service", *words],
        env=environ(PARLEY_DATA=demo._settings["PARLEY_DATA"], **settings), cwd=ROOT,
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def metric(demo, name):
    """Of all workers together; whichever of them answers."""
    with urllib.request.urlopen(f"{demo.url}/metrics", timeout=10) as reply:
        found = re.search(rf"^{re.escape(name)} ([\d.]+)$", reply.read().decode(), re.MULTILINE)
    return float(found[1]) if found else None


async def test_the_demos_permits_are_found_without_any_setting(demo, eventually):
    demo.control(tokens_per_second=10)
    async with customer(demo.url) as client:
        await client.send("How long does shipping to Norway take?")

        def held():
            said = json.loads(parley(demo, "permits", "--json"))
            return said["held"] == 1 and said

        said = await eventually(held, every=0.1)
        assert (said["tier"], said["used"], said["waiting"]["live"]) == (TIER, 1, 0)
        assert [one["worker"] for one in said["sessions"]] == ["worker-1", "worker-2"]
        assert sum(one["held"] for one in said["sessions"]) == 1
        assert f"1 of {TIER} (the tier)" in parley(demo, "permits")
        await eventually(lambda: metric(demo, "parley_permits_used") == 1)
        demo.control(reset=True)


async def test_what_workers_share_is_shown_once_not_once_a_worker(demo, eventually):
    said = parley(demo, "permits", "limit", "40")
    assert f"{TIER} -> 40 (tier {TIER})" in said
    await eventually(lambda: metric(demo, "parley_permits_limit") == 40)
    assert metric(demo, "parley_permits_tier") == TIER
    assert metric(demo, "parley_permits_admissible") == 40
    assert metric(demo, "parley_permits_circuit") == 0
    assert metric(demo, "parley_permits_blocked") == 0
    parley(demo, "permits", "limit", str(TIER))
    await eventually(lambda: metric(demo, "parley_permits_limit") == TIER)


async def test_waits_are_counted_by_class(demo, eventually):
    async with customer(demo.url) as client:
        await client.ask("Can I return it?")

    def counted():
        return (metric(demo, 'parley_permit_wait_seconds_count{class="live"}') or 0) >= 1

    await eventually(counted)
