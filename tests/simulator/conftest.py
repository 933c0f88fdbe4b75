"""One simulator for all tests here, set back before each."""

from collections.abc import Iterator

import pytest

from tests.simulator.api import Api
from tests.support.instance import Simulator


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with Simulator(seed=7) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Iterator[Simulator]:
    running.control(reset=True)
    before = running.program.log.stat().st_size
    yield running
    running.stats()  # so that what the last connection's end did is over
    said = running.program.log.read_text("utf-8")[before:]
    assert not said, f"a fault of the simulator's own:\n{said}"


@pytest.fixture(scope="session")
def connected(running: Simulator) -> Iterator[Api]:
    api = Api(running.base)
    yield api
    api.close()


@pytest.fixture
def api(simulator: Simulator, connected: Api) -> Api:
    return connected
