"""`parley demo` as people type it: what it starts, what it says, how it ends, what it keeps."""

import asyncio
import json
import os
import re
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from service.host.simulated import SIMULATED_KEY
from service.store.connection import Commands
from service.store.permit_office import PermitOffice, account_name
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


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """One demo for all who only look at it."""
    folder = tmp_path_factory.mktemp("standing")
    settings = {"PORT": "0", "PARLEY_DATA": ".parley"}
    with Running(["demo"], folder, settings) as running:
        running.port = ready(running)
        yield running


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


def test_one_command_starts_a_shop_with_a_chat_and_says_what_runs_where(standing):
    port, said = standing.port, standing.out
    for part in (
        f"http://127.0.0.1:{port}/",
        f"http://shop.localhost:{port}/",
        "worker-1 (pid ", "worker-2 (pid ",
        "simulator at http://127.0.0.1:", "V0: 50 at once", "PARLEY_MODEL_KEY",
        ".parley/valkey.sock", "Ctrl-C",
    ):  # fmt: skip
        assert part in said
    assert standing.err == ""
    assert "\x1b[" not in said, "colours are for terminals"
    assert len(standing.processes()) == 5  # supervisor, Valkey, simulator, two workers
    assert "pk_demo" in get(port, "/").text
    assert (standing.folder / ".parley").stat().st_mode & 0o777 == 0o700


def test_every_process_is_out_of_reach_of_ctrl_c_in_the_terminal(standing):
    sessions = {pid: os.getsid(pid) for pid in standing.processes()}
    assert all(session == pid for pid, session in sessions.items())


def test_it_listens_on_this_machine_only(standing):
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = [row.split()[1] for row in table if row.split()[3] == "0A"]
    here = f":{standing.port:04X}"
    assert {address for address in listening if address.endswith(here)} == {f"0100007F{here}"}


def test_with_a_models_key_it_talks_to_that_model_and_starts_no_simulator(demo):
    running = demo(
        PARLEY_MODEL_KEY="id.secret", PARLEY_MODEL_URL="http://127.0.0.1:1/v4", PARLEY_TIER="V1"
    )
    running.until_up()
    assert "glm-4-flashx-250414 at http://127.0.0.1:1/v4 (V1: 100 at once)" in running.out
    assert "simulator" not in running.out
    assert "id.secret" not in running.out
    assert len(running.processes()) == 4


def test_with_a_redis_url_it_embeds_none(demo, tmp_path):
    with Valkey() as server:
        running = demo(PARLEY_REDIS_URL=server.url)
        ready(running)
        assert server.url in running.out
        assert len(running.processes()) == 4
        assert not (tmp_path / ".parley" / "valkey.sock").exists()
        stop(running)


def test_workers_finds_the_demo_by_its_folder(standing):
    with Running(["workers", "--json"], standing.folder, {"PARLEY_DATA": ".parley"}) as asked:
        assert asked.ended() == 0
        listed = json.loads(asked.out)
    assert [worker["name"] for worker in listed] == ["worker-1", "worker-2"]
    assert {worker["pid"] for worker in listed} < standing.processes()


# -- what is in the way -----------------------------------------------------------------------


def test_a_second_demo_on_one_folder_names_the_first(demo, standing):
    before = standing.processes()
    second = demo(PARLEY_DATA=str(standing.folder / ".parley"))
    refused(second, f"process {standing.pid}", "PARLEY_DATA=", ".parley2 PORT=0 parley demo`")
    assert standing.processes() == before


def test_a_port_in_use_names_the_line_that_works(demo):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused(demo(PORT=str(port)), f"PORT={port} is in use", "PORT=", " parley demo`")


def test_a_second_demo_with_a_folder_of_its_own_does_not_share_the_first_ones_port(demo, standing):
    refused(demo(PORT=str(standing.port)), f"PORT={standing.port} is in use")


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


def test_peers_that_never_answer_do_not_keep_it(demo):
    """Half a request; a WebSocket that says nothing, answers no close frame and reads nothing."""
    running = demo()
    port = ready(running)
    half = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
    mute = (
        f"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: parley.v1\r\n\r\n"
    ).encode()
    with ExitStack() as stack:
        for said in (half, mute) * 8:
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            peer.sendall(said)
            if said is mute:
                assert peer.recv(12) == b"HTTP/1.1 101"
        stop(running)


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


async def test_the_permits_of_killed_workers_come_back_long_before_their_deadline(
    demo, tmp_path, eventually
):
    """The supervisor has seen them end; a lease alone would keep their permits for two minutes."""
    running = demo(PARLEY_LOG_LEVEL="info")
    port = await asyncio.to_thread(ready, running)
    url = re.search(r"simulator at (\S+)", running.out)[1]
    slowly(url, tokens_per_second=20)
    asked = [{"type": "message.send", "id": "question-1", "text": "Do you ship to Norway?"}]
    talk(port, session(port)["token"], asked, until="answer.delta")
    workers = [int(pid) for pid in re.findall(r"worker_started .*pid=(\d+)", running.out)]
    assert len(workers) == 2
    async with Commands.open(f"unix://{tmp_path}/.parley/valkey.sock", name="test") as commands:
        await commands.wait_up()
        account = account_name(url, SIMULATED_KEY)
        office = PermitOffice(commands, account=account, model="glm-4-flashx-250414")
        assert (await office.state()).used == 1
        for pid in workers:
            os.kill(pid, signal.SIGKILL)

        async def free():
            return (await office.state()).used == 0

        await eventually(free, within=10)


def test_a_killed_simulator_is_replaced_on_the_same_port(demo):
    running = demo()
    running.until_up()
    match = running.until(r"simulator at http://127.0.0.1:(\d+)\S* \(pid (\d+)")
    os.kill(int(match[2]), signal.SIGKILL)
    running.until(r"companion_restarted")
    assert get(int(match[1]), "/stats").status_code == 200
    assert len(running.processes()) == 5


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_conversations_are_kept_over_a_restart(demo, end):
    running = demo(REDIS_URL="redis://127.0.0.1:1/0")  # for other programs; no matter here
    port = ready(running)
    opened = session(port)
    asked = [{"type": "message.send", "id": "question-1", "text": "Do you ship to Norway?"}]
    frames = talk(port, opened["token"], asked, until="answer.done")
    answer = "".join(frame["text"] for frame in frames if frame["type"] == "answer.delta")
    assert "Norway" in answer
    if end == "stopped":
        stop(running)
    else:
        running.signal(signal.SIGKILL)
        running.ended()
    port = ready(demo())
    resumed = session(port, resume=opened["resume"])
    assert (resumed["conversation"], resumed["resumed"]) == (opened["conversation"], True)
    (snapshot,) = talk(port, resumed["token"], [], until="snapshot")[-1:]
    assert [(one["author"], one["text"]) for one in snapshot["messages"]] == [
        ("customer", "Do you ship to Norway?"),
        ("assistant", answer),
    ]


def slowly(model_url, **switches):
    """Tell the simulator how fast to answer."""
    parts = urlsplit(model_url)
    with httpx.Client(trust_env=False) as client:
        told = client.post(f"{parts.scheme}://{parts.netloc}/_control", json=switches)
        assert told.status_code == 200, told.text


def session(port, **fields):
    origin = f"http://127.0.0.1:{port}"
    with httpx.Client(trust_env=False, headers={"Origin": origin}) as client:
        answer = client.post(f"{origin}/v1/sessions", json={"site": "pk_demo", **fields})
        assert answer.status_code == 200, answer.text
        return answer.json()


def talk(port, token, commands, *, until):
    """Say hello and ``commands``; every frame up to the first one of type ``until``."""
    frames = []
    with connect(
        f"ws://127.0.0.1:{port}/v1/ws",
        subprotocols=["parley.v1"],
        origin=f"http://127.0.0.1:{port}",
        proxy=None,
    ) as client:
        client.send(json.dumps([{"type": "hello", "v": 1, "token": token}, *commands]))
        while not frames or frames[-1]["type"] != until:
            came = json.loads(client.recv(timeout=WITHIN_S))
            for frame in came if isinstance(came, list) else [came]:
                frames.append(frame)
                if frame["type"] == until:
                    break
    return frames
