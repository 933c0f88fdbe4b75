"""A reader who does not read, and a model whose writes cannot proceed."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

from tests.simulator.api import Api, Streamed, code_of, connect, posted, question, read_out
from tests.support.eventually import eventually

SMALL = 4096  # bytes of a receive buffer that is soon full
LONG = "long tokens=3000"  # some 600 KB of a stream


def asleep(simulator, simulate: str = LONG, **fields) -> socket.socket:
    """A client that asked for a long answer and reads nothing of it."""
    body = question("hello", **{"stream": True, **fields})
    return connect(simulator.base, body, simulate, receive_buffer=SMALL)


async def stalled(simulator) -> None:
    await eventually(lambda: simulator.stats()["work"]["stalled"] == 1)
    stats = simulator.stats()
    assert (stats["concurrency"], stats["outcomes"]) == (1, {})


async def wake(connection: socket.socket) -> bytes:
    """The reader reads all that comes."""
    with connection:
        return await asyncio.to_thread(read_out, connection)


def streamed(raw: bytes) -> Streamed:
    """The body of a chunked response, without its frame."""
    _, _, rest = raw.partition(b"\r\n\r\n")
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return Streamed(200, {}, body)


async def test_a_reader_who_sleeps_stalls_the_work_until_it_reads(api: Api, simulator) -> None:
    expected = api.stream("hello", simulate=LONG).text
    simulator.control(reset=True, write_stall=True)
    connection = asleep(simulator)
    await stalled(simulator)
    assert api.stream("hello").done  # the others are served
    assert simulator.stats()["work"]["stalled"] == 1
    answer = streamed(await wake(connection))
    assert answer.text == expected
    assert answer.done
    stats = simulator.stats()
    assert (stats["concurrency"], stats["outcomes"]) == (0, {"stop": 2})


async def test_a_sleeping_reader_stalls_nothing_where_it_is_switched_off(simulator) -> None:
    with asleep(simulator):
        await eventually(lambda: simulator.stats()["outcomes"] == {"stop": 1})
        assert simulator.stats()["concurrency"] == 0


async def test_the_models_clock_stands_still_while_the_reader_sleeps(simulator) -> None:
    simulator.control(write_stall=True, tokens_per_second=5000, jitter=0)
    connection = asleep(simulator)
    await stalled(simulator)
    since = time.monotonic()
    await eventually(lambda: time.monotonic() - since > 0.7)  # the whole answer would be due
    assert simulator.stats()["work"]["stalled"] == 1
    woke = time.monotonic()
    raw = await wake(connection)
    assert raw.count(b"data: ") > 3000
    assert time.monotonic() - woke >= 0.4  # 2000 model tokens and more were still to come


async def test_a_full_tier_stays_full_while_a_reader_sleeps(api: Api, simulator) -> None:
    simulator.control(write_stall=True, tier=1)
    connection = asleep(simulator)
    await stalled(simulator)
    assert code_of(api.post(question("hello"))) == "1302"
    await wake(connection)
    assert api.post(question("hello")).status_code == 200
    assert simulator.stats()["over_tier_starts"] == 1


async def test_the_last_model_token_must_be_through_before_the_work_ends(simulator) -> None:
    """One white space, however long, is one model token: all before it was taken."""
    text = "So" + " " * 300_000
    simulator.control(write_stall=True, scripts=[{"match": "hello", "text": text}])
    connection = asleep(simulator, "")
    await stalled(simulator)
    assert streamed(await wake(connection)).text == text
    assert simulator.stats()["outcomes"] == {"stop": 1}


async def test_a_short_answer_does_not_stall(simulator) -> None:
    """The reader's kernel takes it, whether the reader reads or not."""
    simulator.control(write_stall=True)
    with connect(simulator.base, question("hello", stream=True)):
        await eventually(lambda: simulator.stats()["outcomes"] == {"stop": 1})


async def test_a_whole_answer_stalls_before_its_last_byte(simulator) -> None:
    simulator.control(write_stall=True)
    connection = asleep(simulator, "long tokens=16384", stream=False, max_tokens=16384)
    await stalled(simulator)
    raw = await wake(connection)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert json.loads(body)["usage"]["completion_tokens"] == 16384
    assert simulator.stats()["outcomes"] == {"stop": 1}
    assert simulator.stats()["concurrency"] == 0


async def test_a_sleeping_reader_who_goes_ends_the_work(simulator) -> None:
    simulator.control(write_stall=True)
    connection = asleep(simulator)
    await stalled(simulator)
    connection.close()
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    assert simulator.stats()["outcomes"] == {"aborted": 1}


async def test_a_sleeping_reader_who_goes_is_noticed_late(simulator) -> None:
    simulator.control(write_stall=True, disconnect_delay_ms=400)
    simulator.control(tokens_per_second=1000, jitter=0)
    connection = asleep(simulator)
    await stalled(simulator)
    gone = time.monotonic()
    connection.close()
    await eventually(lambda: simulator.stats()["work"]["unnoticed"] == 1)
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    assert time.monotonic() - gone >= 0.395
    assert simulator.stats()["outcomes"] == {"aborted": 1}


async def test_who_goes_stalls_nothing_any_more(simulator) -> None:
    """The clock goes on from where it stood, into nothing, to the work's own end and its lag."""
    simulator.control(write_stall=True, disconnect_delay_ms="never", release_lag_ms=500)
    simulator.control(tokens_per_second=5000, jitter=0)
    connection = asleep(simulator)
    await stalled(simulator)
    gone = time.monotonic()
    connection.close()
    await eventually(lambda: simulator.stats()["work"]["unnoticed"] == 1)
    await eventually(lambda: simulator.stats()["work"]["lingering"] == 1)
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    assert time.monotonic() - gone >= 0.9  # 2000 model tokens to come, then the lag
    assert simulator.stats()["outcomes"] == {"stop": 1}


@pytest.mark.parametrize("kind", ["cut", "eof", "sensitive", "error_inband"])
async def test_a_stream_that_breaks_off_can_stall_before(simulator, kind: str) -> None:
    simulator.control(write_stall=True)
    connection = asleep(simulator, f"{LONG}; {kind} after=2000")
    await stalled(simulator)
    raw = await wake(connection)
    assert raw.count(b'"content":') >= 2000
    assert simulator.stats()["outcomes"] == {kind: 1}
    assert simulator.stats()["concurrency"] == 0


async def test_a_model_that_falls_silent_is_not_stalled_by_its_reader(simulator) -> None:
    simulator.control(write_stall=True)
    with asleep(simulator, "stall after=1"):
        await eventually(lambda: simulator.stats()["starts"] == 1)
        assert simulator.stats()["work"]["going"] == 1


async def test_a_switch_counts_for_requests_that_come_after_it(simulator) -> None:
    simulator.control(write_stall=True)
    first = asleep(simulator)
    await stalled(simulator)
    simulator.control(write_stall=False)
    with asleep(simulator):
        await eventually(lambda: simulator.stats()["outcomes"] == {"stop": 1})
    assert simulator.stats()["work"]["stalled"] == 1
    await wake(first)
    assert simulator.stats()["outcomes"] == {"stop": 2}


async def test_a_client_that_is_gone_before_it_is_served_breaks_nothing(simulator) -> None:
    simulator.control(write_stall=True)
    for _ in range(30):
        with connect(simulator.base, question("hello", stream=True)) as connection:
            connection.shutdown(socket.SHUT_WR)
    await eventually(lambda: simulator.stats()["concurrency"] == 0)
    stats = simulator.stats()
    assert sum(stats["outcomes"].values()) == stats["requests"] == stats["starts"]


async def test_a_connection_that_could_stall_can_be_used_by_a_request_that_cannot(
    simulator,
) -> None:
    simulator.control(write_stall=True)
    body = question("hello", stream=True)
    address = urlsplit(simulator.base)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(posted(body))
        raw = b""
        while not raw.endswith(b"0\r\n\r\n"):
            raw += connection.recv(65536)
        simulator.control(write_stall=False)
        connection.sendall(posted(body, LONG))
        await eventually(lambda: simulator.stats()["outcomes"] == {"stop": 2})


def reader(simulator, simulate: str) -> subprocess.Popen[bytes]:
    """A process that reads an answer, with its buffers as they come, and begins to."""
    url, body = f"{simulator.base}/chat/completions", json.dumps(question("hello", stream=True))
    process = subprocess.Popen(
        [sys.executable, "-c", READER, url, body, simulate], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"reading\n"
    return process


READER = """
import sys, urllib.request
headers = {"Authorization": "Bearer a.b", "X-Simulate": sys.argv[3]}
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), headers)
with urllib.request.urlopen(request) as answer:
    answer.readline()
    print("reading", flush=True)
    lines = [line for line in answer if line.strip()]
print(lines[-1].decode().strip(), flush=True)
"""


async def test_a_stopped_process_stalls_the_work_until_it_goes_on(simulator) -> None:
    """What a worker does to its requests when it is stopped."""
    simulator.control(write_stall=True, tokens_per_second=5000, jitter=0)
    process = reader(simulator, LONG)
    try:
        process.send_signal(signal.SIGSTOP)
        await stalled(simulator)
        since = time.monotonic()
        await eventually(lambda: time.monotonic() - since > 0.7)  # it would have ended by now
        assert simulator.stats()["work"]["stalled"] == 1
        process.send_signal(signal.SIGCONT)
        await eventually(lambda: simulator.stats()["outcomes"] == {"stop": 1})
        assert await asyncio.to_thread(process.stdout.readline) == b"data: [DONE]\n"
    finally:
        process.kill()
        process.communicate()


async def test_a_killed_process_is_gone_though_it_was_stopped(simulator) -> None:
    simulator.control(write_stall=True, tokens_per_second=5000, jitter=0)
    process = reader(simulator, LONG)
    try:
        process.send_signal(signal.SIGSTOP)
        await stalled(simulator)
        process.kill()
        await eventually(lambda: simulator.stats()["outcomes"] == {"aborted": 1})
        assert simulator.stats()["concurrency"] == 0
    finally:
        process.kill()
        process.communicate()
