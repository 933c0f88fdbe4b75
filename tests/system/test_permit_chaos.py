"""The short form of `python -m tests.chaos --only permits`: 4 workers, and an upstream that counts.

Times are shorter and leases with them; what is wanted is the same, but for a utilisation that the
other tests of a busy machine may cost a part of.
"""

from dataclasses import replace

import pytest

from service.store import functions
from tests.chaos.permits.lease_only import FILE, without_quarantine
from tests.chaos.permits.plays import SHORT
from tests.chaos.permits.result import misses
from tests.chaos.permits.rig import played
from tests.chaos.permits.scenarios import SCENARIOS, Wanted

SEED = 20_401
BUSY = 0.9  # of the utilisation that is wanted on a machine of one's own
NAMES = {scenario.name: scenario for scenario in SCENARIOS}


@pytest.mark.parametrize(
    "name", ["cancelled", "worker-paused", "worker-killed", "valkey-emptied-over-worker"]
)
async def test_nobody_is_over_the_tier_and_nothing_is_lost(name):
    scenario = NAMES[name]
    wanted = replace(scenario.wanted, utilisation=scenario.wanted.utilisation * BUSY)
    result = await played(
        replace(scenario, wanted=wanted), seed=SEED, lengths=SHORT, say=lambda line: print(line)
    )
    print(f"{result.most} of {result.tier} at once, {result.starts} requests, utilisation "
          f"{result.utilisation:.1%}")  # fmt: skip
    assert result.misses == []
    assert result.answered > result.tier


async def test_the_rig_sees_what_goes_wrong_without_the_quarantine():
    result = await played(NAMES["lease-only"], seed=SEED, lengths=SHORT, say=print)
    print(f"{result.over} over-tier starts, {result.most} of {result.tier} at once")
    assert result.misses == []
    assert result.over > 0
    assert misses(result, Wanted(0.0)) == [
        f"{result.over} over-tier starts, {result.most} of {result.tier} at once"
    ]


def test_only_the_quarantine_is_taken_out():
    text = functions.read(FILE)
    without = without_quarantine(text)
    assert "'quarantined'" in text
    assert "'quarantined'" not in without
    assert without.count("local function quarantine(") == 1
    with pytest.raises(ValueError, match="no longer where this takes it out"):
        without_quarantine(text.replace("quarantine(step", "isolate(step"))
