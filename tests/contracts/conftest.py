"""The places that the log's contract is checked in."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.support.cluster import ClusterValkey
from tests.support.log_rig import MemoryWorld, ServerWorld, World
from tests.support.valkey import Valkey


@pytest.fixture(scope="session")
def cluster_valkey() -> Iterator[ClusterValkey]:
    with ClusterValkey() as server:
        yield server


@pytest.fixture(params=["twin", "server", "cluster"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """An empty place for conversations: in memory, on a server, and on a cluster's node."""
    if request.param == "twin":
        yield MemoryWorld()
        return
    name = "valkey" if request.param == "server" else "cluster_valkey"
    server: Valkey = request.getfixturevalue(name)
    with server.client() as client:
        client.flushall()
        async with ServerWorld.at(server.url) as there:
            yield there
        endless = [key for key in client.scan_iter(count=1000) if client.ttl(key) == -1]
        client.flushall()
    assert not endless, f"keys that would live for ever: {endless}"
