"""`parley demo` as people type it: what it starts, what it says, how it ends, what it keeps."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.host.running import WITHIN_S, Running
from tests.support.valkey import Valkey

STOP_S = 5.0  # it is gone within so many seconds, whatever peers do


@pytest.fixture
def demo(tmp_path):
    """`demo(PORT="8001")` in a folder of its own, with a port of its own, ended at the end."""
    started = []

    def begin(**settings):
        running = Running(["demo"], tmp_path, {"PORT": "0", "PARLEY_DATA": ".parley"} | settings)
        started.append(running)
        return running

    yield begin
    for running in started:
        running.__exit__()


def ready(running):
    """Its port, once both workers would take customers."""
    port = running.until_up()
    deadline = time.monotonic() + WITHIN_S
    for _ in range(8):
        while get(port, "/readyz").status_code != 200:
            assert time.monotonic() < deadline, running.out
    return port


def get(port, path):
    with httpx.Client(trust_env=False) as client:
        return client.get(f"http://127.0.0.1:{port}{path}")


def stop(running, number=signal.SIGINT):
    began = time.monotonic()
    running.signal(number)
    assert running.ended(STOP_S) == 0
    running.until_nothing_is_left(0.3)
    assert time.monotonic() - began < STOP_S


def refused(running, *parts):
    assert running.ended() == 2
    assert running.err.startswith("parley: ")
    assert running.err.count("\n") == 1
    for part in parts:
        assert part in running.err


# -- what it starts and says ------------------------------------------------------------------


def test_one_command_starts_a_shop_with_a_chat_and_says_what_runs_where(demo, tmp_path):
    running = demo()
    port = ready(running)
    said = running.out
    for part in (
        f"http://127.0.0.1:{port}/",
        f"http://shop.localhost:{port}/",
        "worker-1 (pid ", "worker-2 (pid ",
        "simulator at http://127.0.0.1:", "V0: 50 at once", "PARLEY_MODEL_KEY",
        ".parley/valkey.sock", "Ctrl-C",
    ):  # fmt: skip
        assert part in said
    assert running.err == ""
    assert "\x1b[" not in said, "colours are for terminals"
    assert len(running.processes()) == 5  # supervisor, Valkey, simulator, two workers
    assert "pk_demo" in get(port, "/").text
    assert (tmp_path / ".parley").stat().st_mode & 0o777 == 0o700


def test_every_process_is_out_of_reach_of_ctrl_c_in_the_terminal(demo):
    running = demo()
    running.until_up()
    sessions = {pid: os.getsid(pid) for pid in running.processes()}
    assert all(session == pid for pid, session in sessions.items())


def test_it_listens_on_this_machine_only(demo):
    running = demo()
    port = running.until_up()
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = [row.split()[1] for row in table if row.split()[3] == "0A"]
    assert {address for address in listening if address.endswith(f":{port:04X}")} == {
        f"0100007F:{port:04X}"
    }


def test_with_a_models_key_it_talks_to_that_model_and_starts_no_simulator(demo):
    running = demo(
        PARLEY_MODEL_KEY="id.secret", PARLEY_MODEL_URL="http://127.0.0.1:1/v4", PARLEY_TIER="V1"
    )
    running.until_up()
    assert "glm-4-flashx-250414 at http://127.0.0.1:1/v4 (V1: 100 at once)" in running.out
    assert "simulator" not in running.out
    assert "id.secret" not in running.out
    assert len(running.processes()) == 4


def test_with_a_redis_url_it_embeds_none_and_redis_url_of_other_programs_is_ignored(demo, tmp_path):
    with Valkey() as server:
        running = demo(PARLEY_REDIS_URL=server.url, REDIS_URL="redis://127.0.0.1:1/0")
        ready(running)
        assert server.url in running.out
        assert len(running.processes()) == 4
        assert not (tmp_path / ".parley" / "valkey.sock").exists()
        stop(running)
    alone = demo(REDIS_URL="redis://127.0.0.1:1/0")
    ready(alone)
    assert ".parley/valkey.sock" in alone.out


def test_workers_finds_the_demo_by_its_folder(demo, tmp_path):
    running = demo()
    ready(running)
    with Running(["workers", "--json"], tmp_path, {"PARLEY_DATA": ".parley"}) as asked:
        assert asked.ended() == 0
        listed = json.loads(asked.out)
    assert [worker["name"] for worker in listed] == ["worker-1", "worker-2"]
    assert {worker["pid"] for worker in listed} < running.processes()


# -- what is in the way -----------------------------------------------------------------------


def test_a_second_demo_on_one_folder_names_the_first(demo):
    first = demo()
    first.until_up()
    refused(demo(), f"process {first.pid}", "PARLEY_DATA=", ".parley2 PORT=0 parley demo`")
    assert first.processes()


def test_a_port_in_use_names_the_line_that_works(demo):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused(demo(PORT=str(port)), f"PORT={port} is in use", "PORT=", " parley demo`")


def test_a_second_demo_with_a_folder_of_its_own_does_not_share_the_first_ones_port(demo):
    port = demo().until_up()
    refused(demo(PORT=str(port), PARLEY_DATA=".parley2"), f"PORT={port} is in use")


def test_a_wrong_setting_is_named_with_what_works(demo):
    refused(demo(PARLEY_TIER="V9"), "PARLEY_TIER=V9", "V0, V1, V2, V3")


# -- the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_within_five_seconds_and_nothing_is_left(demo, number):
    running = demo()
    port = ready(running)
    with httpx.Client(trust_env=False) as peer:  # who keeps a connection open does not keep it
        peer.get(f"http://127.0.0.1:{port}/healthz")
        stop(running, number)
    assert "stopped" in running.out.splitlines()[-1]
    assert running.err == ""


def test_ctrl_c_while_it_starts_ends_it_too(demo):
    running = demo()
    running.until(r"starting")
    stop(running)


def test_a_second_ctrl_c_ends_it_at_once(demo):
    running = demo()
    running.until_up()
    running.signal(signal.SIGINT)
    running.signal(signal.SIGINT)
    assert running.ended(2) in (0, 1)
    running.until_nothing_is_left(0.3)


def test_killed_by_force_it_leaves_nothing_behind_and_starts_again_at_once(demo):
    running = demo()
    ready(running)
    first = running.processes()
    running.signal(signal.SIGKILL)
    running.ended()
    ready(demo())
    assert not first & running.processes()


def test_a_killed_simulator_is_replaced_on_the_same_port(demo):
    running = demo()
    running.until_up()
    match = running.until(r"simulator at http://127.0.0.1:(\d+)\S* \(pid (\d+)")
    os.kill(int(match[2]), signal.SIGKILL)
    running.until(r"companion_restarted")
    assert get(int(match[1]), "/stats").status_code == 200
    assert len(running.processes()) == 5


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_what_valkey_knows_is_kept_over_a_restart(demo, tmp_path, end):
    url = f"unix://{tmp_path}/.parley/valkey.sock"
    running = demo()
    running.until_up()
    with Redis.from_url(url) as client:
        client.set("kept", "yes")
    if end == "stopped":
        stop(running)
    else:
        running.signal(signal.SIGKILL)
        running.ended()
    again = demo()
    again.until_up()
    with Redis.from_url(url) as client:
        assert client.get("kept") == b"yes"
