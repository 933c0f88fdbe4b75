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
def simulator(running: Simulator) -> Simulator:
    running.control(reset=True)
    return running


@pytest.fixture(scope="session")
def connected(running: Simulator) -> Iterator[Api]:
    api = Api(running.base)
    yield api
    api.close()


@pytest.fixture
def api(simulator: Simulator, connected: Api) -> Api:
    return connected
