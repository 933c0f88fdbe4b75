"""One instance with one worker for all tests of the edge, and customers who talk to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.instance import Instance, Simulator
from tests.support.valkey import Valkey

SITES = """
[[site]]
key = "pk_demo"
name = "The Shop"
origins = ["https://shop.example", "http://127.0.0.1:*"]
languages = ["en", "de"]
contact = "help@shop.example"
[[site.facts]]
title = { en = "Shipping", de = "Versand" }
text = { en = "We ship to Norway in 5 days for 12 euro.", de = "Wir liefern nach Norwegen." }

[[site]]
key = "pk_other"
name = "Other"
origins = ["https://other.example"]

[[site]]
key = "pk_small"
name = "Small"
origins = ["http://127.0.0.1:*"]
[site.limits]
messages_per_minute = 3
message_units = 20
"""


@pytest.fixture(scope="session")
def edge_valkey() -> Iterator[Valkey]:
    """A server of the edge's own: its conversations outlive single tests."""
    with Valkey() as server:
        yield server


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    with Simulator(tier=50) as running:
        yield running


@pytest.fixture(scope="session")
def instance(
    edge_valkey: Valkey, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Instance]:
    sites: Path = tmp_path_factory.mktemp("edge") / "sites.toml"
    sites.write_text(SITES)
    with Instance(edge_valkey.url, simulator.url, workers=1, sites=sites) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_is_left_switched_on(request: pytest.FixtureRequest) -> Iterator[None]:
    """Faults and scripts of one test are none of the next one's business."""
    yield
    if "simulator" in request.fixturenames:
        request.getfixturevalue("simulator").control(reset=True, seed=7)
