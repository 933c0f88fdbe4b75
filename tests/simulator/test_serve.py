"""The process: how it starts, what it says, how it stops."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.simulator.api import KEY, connect, question, read_out
from tests.support.eventually import eventually
from tests.support.instance import ROOT, Program, environ, fetch

AT_ONCE_S = 3.0  # of a stop; half a second alone, more beside other tests


@pytest.fixture
def program() -> Iterator[Program]:
    program = Program("-m", "service.simulator", "--port", "0")
    yield program
    program.stop()


def command(*words: str, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.simulator", *words],
        capture_output=True, text=True, timeout=30, cwd=ROOT, env=environ(), check=False, **more,
    )  # fmt: skip


def stalled(program: Program) -> socket.socket:
    """A stream that is open and will not end by itself."""
    port = int(program.said(r"listening on http://127\.0\.0\.1:(\d+)"))
    connection = socket.create_connection(("127.0.0.1", port))
    import json

    content = json.dumps(question("hello", stream=True)).encode()
    connection.sendall(
        f"POST /chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        f"X-Simulate: stall after=0\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        + content
    )
    assert b"200 OK" in connection.recv(4096)
    return connection


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_with_open_streams(program: Program, number: int) -> None:
    with stalled(program):
        begun = time.monotonic()
        program.process.send_signal(number)
        assert program.process.wait(10) == 0
        assert time.monotonic() - begun < AT_ONCE_S
    assert program.tail().count("\n") == 1, program.tail()  # the line it listens with, no other


async def test_a_signal_ends_it_whatever_lingers(program: Program) -> None:
    """A stalled request, one whose client went and is never noticed, places that linger."""
    base = program.said(r"listening on (http://\S+)")
    fetch(
        f"{base}/_control",
        {"release_lag_ms": 500, "disconnect_delay_ms": "never", "write_stall": "on",
         "tokens_per_second": 0, "first_token_ms": 0},
    )  # fmt: skip
    body = question("hello", stream=True)
    with connect(base, body, "long tokens=3000", receive_buffer=4096):
        connect(base, body, "hang").close()

        def all_linger() -> bool:
            with connect(base, body) as connection:
                read_out(connection)
            work = fetch(f"{base}/stats")["work"]
            return bool(work["stalled"] and work["unnoticed"] and work["lingering"])

        await eventually(all_linger)
        begun = time.monotonic()
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(10) == 0
        assert time.monotonic() - begun < AT_ONCE_S
    assert program.tail().count("\n") == 1, program.tail()


def test_the_end_of_its_parents_pipe_ends_it() -> None:
    theirs, ours = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "service.simulator", "--port", "0", "--parent-fd", str(theirs)],
        stdout=subprocess.PIPE, pass_fds=(theirs,), cwd=ROOT, env=environ(),
    )  # fmt: skip
    os.close(theirs)
    try:
        assert process.stdout is not None
        assert b"simulator listening on http://127.0.0.1:" in process.stdout.readline()
        os.write(ours, b"still here")
        assert process.poll() is None
    finally:
        os.close(ours)
        assert process.wait(AT_ONCE_S) == 0
        process.stdout.close()


def test_a_port_in_use_is_one_line_that_names_what_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = command("--port", str(port))
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == (
        f"parley simulate: cannot listen on 127.0.0.1:{port} (Address already in use); "
        "a free port: parley simulate --host 127.0.0.1 --port 0\n"
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--tier", "V7"], "tier: 'V7' is none of V0, V1, V2, V3 and no number 1…100000"),
        (["--first-token-ms", "-5"], "first_token_ms: -5.0 is not within 0…600000"),
        (["--jitter", "2"], "jitter: 2.0 is not within 0…0.9"),
        (["--release-lag-ms", "501"], "release_lag_ms: 501.0 is not within 0…500"),
        (["--disconnect-delay-ms", "late"], "disconnect_delay_ms: 'late' is neither a number nor"),
        (["--disconnect-delay-ms", "-1"], "disconnect_delay_ms: '-1' is not within 0…600000 nor"),
        (["--parent-fd", "77"], "--parent-fd 77 is not an open descriptor"),
        (["--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid:0"),
    ],
)
def test_a_wrong_option_is_one_line_and_code_2(words: list[str], text: str) -> None:
    ended = command("--port", "0", *words)
    assert ended.returncode == 2
    assert text in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ([], {"release_lag_ms": 0, "disconnect_delay_ms": 0, "write_stall": False}),
        (
            ["--release-lag-ms", "250", "--disconnect-delay-ms", "never", "--write-stall", "on"],
            {"release_lag_ms": 250, "disconnect_delay_ms": "never", "write_stall": True},
        ),
        (["--disconnect-delay-ms", "1500"], {"disconnect_delay_ms": 1500}),
        (["--continuation", "preamble"], {"continuation": "preamble"}),
    ],
    ids=["default", "all", "delay", "continuation"],
)
def test_what_the_endpoint_does_not_tell_is_told_at_the_start(
    words: list[str], shown: dict[str, object]
) -> None:
    program = Program("-m", "service.simulator", "--port", "0", *words)
    try:
        base = program.said(r"listening on (http://\S+)")
        assert fetch(f"{base}/_control").items() >= shown.items()
        fetch(f"{base}/_control", {"release_lag_ms": 7})
        assert fetch(f"{base}/_control", {"reset": True}).items() >= shown.items()
    finally:
        program.stop()


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--write-stall", "'maybe' is not one of 'on', 'off'"),
        ("--continuation", "'maybe' is not one of 'exact', 'repeat', 'restart', 'reworded'"),
        ("--release-lag-ms", "'maybe' is not a valid float"),
    ],
)
def test_a_wrong_word_for_an_option_says_what_is_right(option: str, text: str) -> None:
    ended = command("--port", "0", option, "maybe")
    assert ended.returncode == 2
    assert text in ended.stderr


def test_a_parent_that_is_a_file_is_refused(tmp_path) -> None:
    with (tmp_path / "file").open("w") as file:
        ended = command("--parent-fd", str(file.fileno()), pass_fds=(file.fileno(),))
    assert ended.returncode == 2
    assert "is neither a pipe nor a socket" in ended.stderr


def test_the_command_can_be_added_to_another() -> None:
    import click

    from service.simulator.command import simulate

    assert isinstance(simulate, click.Command)
    assert simulate.name == "simulate"
    assert {"host", "port", "tier", "keys", "seed"} <= {one.name for one in simulate.params}
