"""Fixtures for tests of flows; what they give is in tests/support/flow_rig.py."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from service.flows import asking, context, writer
from tests.support.flow_rig import Flows


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits between tries waits no longer than it must, a thousand times over."""
    monkeypatch.setattr(writer, "PAUSES_S", (0.0,))
    monkeypatch.setattr(context, "PAUSE_S", 0.0)
    monkeypatch.setattr(asking, "PERMITS_AWAY_S", 0.001)


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
