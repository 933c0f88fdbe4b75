"""The end of work: by the model's clock, not by the reader's."""

import socket
import time
from urllib.parse import urlsplit

import pytest
from starlette.types import Message

from service.simulator.options import SimulatorOptions
from service.simulator.stats import Stats
from service.simulator.tier import Tier
from service.simulator.work import WorkBook
from tests.simulator.api import Api, connect, question
from tests.support.eventually import eventually


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_client_that_leaves_ends_the_work_at_once(simulator, stream: bool) -> None:
    simulator.control(first_token_ms=60_000)
    connection = connect(simulator.base, question("hello", stream=stream))
    await eventually(lambda: simulator.stats()["concurrency"] == 1)
    connection.close()
    await eventually(lambda: simulator.stats()["concurrency"] == 0, within=2)
    assert simulator.stats()["outcomes"] == {"aborted": 1}


async def test_a_client_that_reads_nothing_does_not_hold_up_the_work(simulator) -> None:
    """More than every buffer on the way takes; the work ends all the same, when it is due."""
    connection = connect(
        simulator.base,
        question("hello", stream=True, max_tokens=16384, request_id="r" * 64),
        simulate="long tokens=16384",
    )
    try:
        await eventually(lambda: simulator.stats()["outcomes"] == {"stop": 1})
        assert simulator.stats()["concurrency"] == 0
    finally:
        connection.close()


async def test_a_request_that_cannot_stall_is_sent_without_a_detour() -> None:
    """It would cost something for each model token."""

    async def send(message: Message) -> None: ...

    line = Tier().enter("a", "m", limit=1, enforce=True, now=1)
    assert line is not None
    for stall in (False, True):
        book = WorkBook(Tier(), Stats(1), SimulatorOptions(write_stall=stall))
        assert (book.begin(line).through(send) is send) is not stall


async def test_a_place_is_given_back_once() -> None:
    tier = Tier()
    book = WorkBook(tier, Stats(1), SimulatorOptions())
    lines = [tier.enter("a", "m", limit=2, enforce=True, now=1) for _ in range(2)]
    first, _ = [book.begin(line) for line in lines if line is not None]
    first.end("stop")
    first.end("stop")
    with pytest.raises(KeyError):
        book.free(first)
    assert tier.concurrency == sum(book.snapshot().values()) == 1


def test_the_work_takes_as_long_as_its_tokens(api: Api, simulator) -> None:
    simulator.control(first_token_ms=100, tokens_per_second=100, jitter=0)
    begun = time.monotonic()
    api.stream("hello", simulate="long tokens=21")
    assert time.monotonic() - begun >= 0.3  # 100 ms, then 20 gaps of 10 ms
    begun = time.monotonic()
    api.post(question("hello"), simulate="long tokens=21")
    assert time.monotonic() - begun >= 0.3


async def test_a_silent_model_stays_counted(simulator) -> None:
    connection = connect(simulator.base, question("hello", stream=True), simulate="stall after=0")
    await eventually(lambda: simulator.stats()["concurrency"] == 1)
    assert b"200 OK" in connection.recv(4096)
    assert simulator.stats()["concurrency"] == 1
    connection.close()
    await eventually(lambda: simulator.stats()["concurrency"] == 0)


def test_outcomes_are_counted_by_name(api: Api, simulator) -> None:
    api.stream("hello")
    api.stream("hello", max_tokens=2)
    api.stream("hello", simulate="sensitive")
    api.stream("hello", simulate="eof")
    api.post(question("hello", temperature=9))
    assert simulator.stats()["outcomes"] == {
        "stop": 1, "length": 1, "sensitive": 1, "eof": 1, "error_1214": 1,
    }  # fmt: skip
    assert simulator.stats()["requests"] == 5


def test_a_request_that_never_ends_is_forgotten_with_its_connection(api: Api, simulator) -> None:
    address = urlsplit(simulator.base)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            b"POST /chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"
        )
    assert api.ask("hello")
    assert simulator.stats()["requests"] == 1
