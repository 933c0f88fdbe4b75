"""The product's connection to Redis outlives whatever a proxy does to it.

A thread of its own runs the proxy here, so that it may cut a connection while the loop under test
stands still: what comes in the same turn of the loop comes in an order that a test can choose.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvloop

from service.core.errors import StoreUnavailable
from service.store import connection, subscriber
from service.store.connection import Commands
from service.store.subscriber import Subscriber
from tests.chaos.resp_proxy import RespProxy
from tests.chaos.resp_rules import Duplicate, Rule
from tests.support.eventually import eventually
from tests.support.valkey import Valkey

CUTS = 20  # which of two errors is seen first is drawn by lot each time
STANDS_S = 0.02  # for the loop under test, while the cut arrives


@pytest.fixture
def own() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


class Elsewhere:
    """A proxy in a thread and a loop of its own."""

    def __init__(self, proxy: RespProxy) -> None:
        self.proxy = proxy
        self.loop = asyncio.get_running_loop()
        self.over = asyncio.Event()

    def cut_all(self) -> None:
        self.loop.call_soon_threadsafe(self.proxy.cut_all)


@contextmanager
def elsewhere(url: str) -> Iterator[Elsewhere]:
    made: list[Elsewhere] = []
    ready = threading.Event()

    async def run() -> None:
        async with RespProxy(url) as proxy:
            made.append(Elsewhere(proxy))
            ready.set()
            await made[0].over.wait()

    thread = threading.Thread(target=lambda: uvloop.run(run()))
    thread.start()
    assert ready.wait(5)
    try:
        yield made[0]
    finally:
        made[0].loop.call_soon_threadsafe(made[0].over.set)
        thread.join()


async def test_a_command_in_the_very_turn_in_which_the_connection_is_cut_does_not_end_it_for_ever(
    own, monkeypatch
):
    monkeypatch.setattr(connection, "PAUSES_S", (0.001,))
    loop = asyncio.get_running_loop()
    with elsewhere(own.url) as there:
        async with Commands.open(there.proxy.url, name="test") as commands:
            for cut in range(1, CUTS + 1):
                await asyncio.wait_for(commands.wait_up(), 5)
                loop.call_soon(commands.send, "ECHO", "lost")  # before the end of the connection
                there.cut_all()
                time.sleep(STANDS_S)  # noqa: ASYNC251
                await eventually(lambda cut=cut: commands.reconnects >= cut, within=1)
            await asyncio.wait_for(commands.wait_up(), 5)
            assert await commands.send("ECHO", "here") == b"here"


async def test_a_reply_too_many_costs_the_connection_and_no_more(own):
    async with (
        RespProxy(own.url, Rule(Duplicate(), "ECHO")) as proxy,
        Commands.open(proxy.url, name="test") as commands,
    ):
        await asyncio.wait_for(commands.wait_up(), 5)
        assert await commands.send("ECHO", "once") == b"once"
        await eventually(lambda: commands.reconnects == 1, within=1)
        await asyncio.wait_for(commands.wait_up(), 5)
        assert await commands.send("ECHO", "again") == b"again"


async def test_to_follow_in_the_very_turn_in_which_the_connection_is_cut_is_refused_in_good_order(
    own, monkeypatch
):
    monkeypatch.setattr(subscriber, "PAUSES_S", (0.001,))
    loop, tries = asyncio.get_running_loop(), []
    missed = asyncio.Event()

    def follow(following: Subscriber) -> None:
        tries.append(asyncio.create_task(following.follow("channel", lambda message: None)))

    with elsewhere(own.url) as there:
        async with Subscriber.open(there.proxy.url, name="test", missed=missed.set) as following:
            for _ in range(CUTS):
                await asyncio.wait_for(missed.wait(), 5)
                missed.clear()
                loop.call_soon(follow, following)
                there.cut_all()
                time.sleep(STANDS_S)  # noqa: ASYNC251
                await eventually(lambda: tries and tries[-1].done())
            await asyncio.wait_for(missed.wait(), 5)
            assert following.up
    failed = [task.exception() for task in tries]
    assert {type(error) for error in failed} <= {StoreUnavailable, type(None)}, failed
