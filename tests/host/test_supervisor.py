"""Whole process trees: what dies is replaced, what is told to end ends, nothing stays behind."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
import time

import httpx
import pytest
import websockets

from tests.host.running import ask
from tests.support.valkey import Valkey


@pytest.fixture
def redis_away(tmp_path):
    return f"unix://{tmp_path}/nobody.sock"


def serving_pids(port, attempts=40):
    return {ask(port)["pid"] for _ in range(attempts)}


def test_connections_reach_both_workers(start, redis_url):
    run = start("serve", PARLEY_REDIS_URL=redis_url)
    port = run.until_up()
    assert serving_pids(port) == {line["pid"] for line in run.started()}
    assert len(run.started()) == 2


def test_a_dead_worker_is_replaced_at_once_and_what_waits_in_its_queue_is_served(start, redis_url):
    run = start("serve", PARLEY_REDIS_URL=redis_url, WEB_CONCURRENCY="1")
    port = run.until_up()
    first = ask(port)
    os.kill(first["pid"], signal.SIGSTOP)  # so that its queue fills before it dies
    with socket.create_connection(("127.0.0.1", port)) as waiting:
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        os.kill(first["pid"], signal.SIGKILL)
        waiting.settimeout(10)
        answer = b"".join(iter(lambda: waiting.recv(4096), b""))
    second = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert second["name"] == first["name"] == "worker-1"
    assert second["pid"] != first["pid"]
    assert second["session"] != first["session"]


@pytest.mark.parametrize("how", ["stopped", "blocked"])
def test_a_worker_silent_for_five_seconds_is_killed_and_replaced(start, redis_url, how):
    run = start("serve", PARLEY_REDIS_URL=redis_url)
    port = run.until_up()
    if how == "stopped":
        silent = ask(port)["pid"]
        os.kill(silent, signal.SIGSTOP)
    else:
        with contextlib.suppress(httpx.TimeoutException):
            ask(port, "/hang", timeout=0.2)
    began = time.monotonic()
    line = run.until(r'"event": "worker_silent"')
    assert line and 3.5 < time.monotonic() - began < 8
    run.until(r'"event": "worker_died"')
    run.until(r'"worker_started".*\n(.*\n)*.*"worker_started".*\n(.*\n)*.*"worker_started"')
    replaced = run.started()[-1]["pid"]
    deadline = time.monotonic() + 10
    while replaced not in serving_pids(port, 5):
        assert time.monotonic() < deadline
    assert len(run.processes()) == 3


def test_a_worker_that_keeps_dying_is_restarted_with_growing_pauses(start, redis_url):
    run = start("serve", PARLEY_REDIS_URL=redis_url, WEB_CONCURRENCY="1")
    run.until_up()
    for deaths in range(3):
        os.kill(run.started()[deaths]["pid"], signal.SIGKILL)
        run.until(rf'("worker_started"(.*\n)*.*){{{deaths + 2}}}')
    pauses = [line["next_in_s"] for line in run.log() if line["event"] == "worker_died"]
    assert pauses == [0.0, 0.5, 1.0]


def test_a_slot_that_stays_empty_is_closed_and_opens_again_with_its_worker(start, redis_url):
    """A restarted worker is stopped before it can ask for the socket: the slot is empty."""
    run = start("serve", PARLEY_REDIS_URL=redis_url, WEB_CONCURRENCY="1")
    port = run.until_up()
    os.kill(run.started()[0]["pid"], signal.SIGKILL)
    run.until(r'("worker_started"(.*\n)*.*){2}')
    os.kill(run.started()[1]["pid"], signal.SIGSTOP)
    run.until(r'"event": "slot_closed"')
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    os.kill(run.started()[1]["pid"], signal.SIGCONT)
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(httpx.TransportError):
            assert ask(port)["pid"] == run.started()[1]["pid"]
            return
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("command", "number"),
    [("serve", signal.SIGTERM), ("serve", signal.SIGINT), ("demo", signal.SIGHUP)],
)
def test_a_signal_ends_everything_in_good_order(start, redis_url, command, number):
    run = start(
        command, PARLEY_REDIS_URL=redis_url, PARLEY_MODEL_KEY="k", PARLEY_LOG_LEVEL="info",
        PARLEY_LOG_FORMAT="json",
    )  # fmt: skip
    run.until_up()
    run.signal(number)
    assert run.ended(4) == 0
    run.until_nothing_is_left(0.5)
    assert [line["event"] for line in run.log()].count("draining") == 2
    assert not [line for line in run.log() if line["event"] in ("worker_killed", "worker_died")]


def test_an_interrupt_counts_also_where_a_script_started_it_in_the_background(start, redis_url):
    """Shells have background processes ignore SIGINT."""
    run = start("serve", ignoring=signal.SIGINT, PARLEY_REDIS_URL=redis_url)
    run.until_up()
    run.signal(signal.SIGINT)
    assert run.ended(4) == 0


def test_nohup_is_left_alone(start, redis_url):
    run = start("serve", ignoring=signal.SIGHUP, PARLEY_REDIS_URL=redis_url)
    port = run.until_up()
    run.signal(signal.SIGHUP)
    assert ask(port)["name"]
    run.signal(signal.SIGTERM)
    assert run.ended(4) == 0


def test_signals_while_workers_start_end_everything_too(start, redis_url):
    run = start("serve", PARLEY_REDIS_URL=redis_url)
    run.until(r"worker_started")
    run.signal(signal.SIGTERM)
    assert run.ended(4) == 0
    run.until_nothing_is_left(0.5)


def test_an_application_that_never_drains_is_ended_within_the_time(start, redis_url):
    run = start("serve", "stubborn", PARLEY_REDIS_URL=redis_url, PARLEY_DRAIN_S="3")
    run.until_up()
    began = time.monotonic()
    run.signal(signal.SIGTERM)
    assert run.ended(4) == 0
    assert time.monotonic() - began < 3.3
    run.until_nothing_is_left(0.5)


def test_a_stopped_worker_does_not_keep_the_rest_waiting_for_longer_than_the_time(start, redis_url):
    run = start("serve", PARLEY_REDIS_URL=redis_url, PARLEY_DRAIN_S="3")
    port = run.until_up()
    os.kill(ask(port)["pid"], signal.SIGSTOP)
    run.signal(signal.SIGTERM)
    assert run.ended(3.5) == 0
    run.until_nothing_is_left(0.5)
    assert [line["event"] for line in run.log()].count("worker_killed") == 1


def test_a_second_signal_ends_everything_at_once(start, redis_url):
    run = start("serve", "stubborn", PARLEY_REDIS_URL=redis_url, PARLEY_DRAIN_S="60")
    run.until_up()
    run.signal(signal.SIGINT)
    run.until(r'"event": "draining"')
    began = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.ended(3) == 1
    assert time.monotonic() - began < 1.5
    run.until_nothing_is_left(0.5)


def test_a_killed_supervisor_leaves_nothing_not_even_a_stopped_worker(start):
    run = start("serve", PARLEY_EMBEDDED="1")
    port = run.until_up()
    assert len(run.processes()) == 4  # supervisor, Valkey, two workers
    os.kill(ask(port)["pid"], signal.SIGSTOP)
    run.signal(signal.SIGKILL)
    run.ended()
    run.until_nothing_is_left()


def test_a_killed_worker_leaves_its_trace_until_the_notice_was_taken(start, tmp_path):
    """kill -9 of everything; the next start finds who died and says so."""
    run = start("serve", PARLEY_EMBEDDED="1")
    run.until_up()
    dead = {line["session"] for line in run.started()}
    for pid in run.processes():
        os.kill(pid, signal.SIGKILL)
    run.ended()
    traces = tmp_path / "data" / "workers"
    assert {path.name for path in traces.iterdir()} == dead
    again = start("serve", PARLEY_EMBEDDED="1")
    again.until_up()
    again.until(r"worker_fenced.*\n(.*\n)*.*worker_fenced")
    fenced = {line["session"] for line in again.log() if line["event"] == "worker_fenced"}
    assert fenced == dead
    assert {path.name for path in traces.iterdir()} == {ln["session"] for ln in again.started()}
    again.signal(signal.SIGTERM)
    assert again.ended() == 0
    assert not list(traces.iterdir())


async def test_an_open_socket_is_told_to_come_back_when_its_worker_stops(start, redis_url):
    run = start("serve", PARLEY_REDIS_URL=redis_url)
    port = await asyncio.to_thread(run.until_up)
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as client:
        await client.send("x")
        assert await client.recv() == "x"
        assert "permessage-deflate" not in client.response.headers.get(
            "Sec-WebSocket-Extensions", ""
        )
        assert "Server" not in client.response.headers
        run.signal(signal.SIGTERM)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd.code == 1012
    assert await asyncio.to_thread(run.ended, 4) == 0


async def test_a_message_above_the_librarys_cap_closes_1009(start, redis_url):
    run = start("serve", PARLEY_REDIS_URL=redis_url)
    port = await asyncio.to_thread(run.until_up)
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as client:
        await client.send("x" * 65_537)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd.code == 1009


def test_a_worker_that_is_told_to_end_is_replaced_and_no_connection_is_refused(start, redis_url):
    run = start("serve", PARLEY_REDIS_URL=redis_url, WEB_CONCURRENCY="1")
    port = run.until_up()
    refused, stop = [], threading.Event()

    def keep_asking():
        while not stop.is_set():
            try:
                ask(port, timeout=10)
            except httpx.ConnectError as error:
                refused.append(error)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    first = run.started()[0]["pid"]
    os.kill(first, signal.SIGTERM)
    run.until(r'("worker_started"(.*\n)*.*){2}')
    while ask(port, timeout=10)["pid"] == first:
        pass
    stop.set()
    asking.join()
    assert not refused


def test_an_application_that_can_never_run_ends_serve_with_its_one_line(start, redis_url):
    run = start("serve", "unsuitable", PARLEY_REDIS_URL=redis_url)
    assert run.ended() == 2
    assert run.err == "parley: redis 6.0 is too old\n"
    run.until_nothing_is_left(0.5)


def test_an_application_that_is_broken_ends_serve_with_its_traceback(start, redis_url):
    run = start("serve", "crashing", PARLEY_REDIS_URL=redis_url)
    assert run.ended() == 1
    assert "RuntimeError: a bug of ours" in run.err
    run.until_nothing_is_left(0.5)


def test_redis_away_at_the_start_is_said_and_does_not_end_serve(start, redis_away):
    run = start("serve", PARLEY_REDIS_URL=redis_away)
    run.until(r"parley: Redis at unix://.*nobody.sock does not answer .*/readyz says 503")
    assert ask(run.until_up())["name"]


def test_a_folder_that_cannot_be_written_to_is_said_and_does_not_end_serve(
    start, redis_url, tmp_path
):
    (tmp_path / "file").touch()
    run = start("serve", PARLEY_REDIS_URL=redis_url, PARLEY_DATA=str(tmp_path / "file"))
    assert ask(run.until_up())["name"]
    (warned,) = [line for line in run.log() if line["event"] == "no_traces"]
    assert "deadlines" in warned["effect"]


def test_a_refused_password_ends_serve(start):
    with Valkey() as server:
        with server.client() as client:
            client.config_set("requirepass", "right")
        run = start("serve", PARLEY_REDIS_URL=server.url.replace("unix://", "unix://:wrong@"))
        assert run.ended() == 2
    assert run.err.count("\n") == 1
    assert "PARLEY_REDIS_URL=" in run.err
    assert "password" in run.err
    assert "wrong" not in run.err


def test_a_redis_that_evicts_keys_ends_serve(start):
    with Valkey() as server:
        with server.client() as client:
            client.config_set("maxmemory", "100mb")
            client.config_set("maxmemory-policy", "allkeys-lru")
        run = start("serve", PARLEY_REDIS_URL=server.url)
        assert run.ended() == 2
    assert run.err.count("\n") == 1
    assert "noeviction" in run.err


def test_an_embedded_valkey_that_dies_is_restarted_with_its_data(start, tmp_path):
    run = start("serve", PARLEY_EMBEDDED="1")
    run.until_up()
    workers = {line["pid"] for line in run.started()}
    (valkey,) = run.processes() - workers - {run.pid}
    os.kill(valkey, signal.SIGKILL)
    run.until(r'"event": "companion_restarted"')
    assert len(run.processes() - workers - {run.pid}) == 1
