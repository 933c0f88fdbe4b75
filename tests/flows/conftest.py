"""Fixtures for tests of flows; what they give is in tests/support/flow_rig.py."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from tests.support.flow_rig import Flows


@pytest.fixture
async def flows() -> AsyncIterator[Flows]:
    async with AsyncExitStack() as stack:
        yield Flows(stack)


@pytest.fixture
def settled() -> Callable[[], Awaitable[None]]:
    """Lets everything happen that can happen without time."""

    async def settle() -> None:
        for _ in range(200):
            await asyncio.sleep(0)

    return settle
