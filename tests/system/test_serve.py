"""`parley serve` and `parley workers` as people type them: what is set wrong is one line and exit
code 2, before anything is started; what is set right serves.
"""

import json
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from tests.host.running import SITES, WITHIN_S, Running
from tests.support.sources import ROOT
from tests.support.valkey import Valkey


@pytest.fixture
def run(tmp_path):
    """`run("serve", PORT="8001")` ends by itself; its exit code, and what it said."""

    def begin(*words, **settings):
        with Running(list(words), tmp_path, settings) as running:
            status = running.ended()
            running.until_nothing_is_left(0.5)
            return status, running.out, running.err

    return begin


@pytest.fixture
def sites(tmp_path):
    path = tmp_path / "sites.toml"
    path.write_text(SITES)
    return str(path)


@pytest.fixture
def complete(redis_url, sites):
    """All that serve needs."""
    return {
        "PARLEY_REDIS_URL": redis_url,
        "PARLEY_SITES": sites,
        "PARLEY_MODEL_KEY": "id.secret",
        "PARLEY_HOST": "127.0.0.1",
        "PORT": "0",
    }


def assert_refused(outcome, *parts):
    status, out, err = outcome
    assert status == 2
    assert out == ""
    assert err.startswith("parley: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


# -- what serve needs -------------------------------------------------------------------------


def test_without_a_redis_setting(run, sites):
    refused = run("serve", PARLEY_SITES=sites, PARLEY_MODEL_KEY="k")
    assert_refused(refused, "PARLEY_REDIS_URL is not set", "redis://127.0.0.1:6379/0")


def test_without_a_site(run, redis_url):
    refused = run("serve", PARLEY_REDIS_URL=redis_url, PARLEY_MODEL_KEY="k")
    assert_refused(refused, "PARLEY_SITES is not set", "PARLEY_SITES=sites.toml")


def test_without_a_models_key(run, redis_url, sites):
    refused = run("serve", REDIS_URL=redis_url, PARLEY_SITES=sites)
    assert_refused(refused, "PARLEY_MODEL_KEY is not set", "parley simulate")


def test_with_a_redis_and_an_embedded_one(run, complete):
    refused = run("serve", **complete | {"PARLEY_EMBEDDED": "1"})
    assert_refused(refused, "PARLEY_REDIS_URL and PARLEY_EMBEDDED=1", "unset one")


@pytest.mark.parametrize(
    "name, value, wants",
    [
        ("PARLEY_TIER", "fast", "V0"),
        ("PORT", "http", "whole number"),
        ("PARLEY_REDIS_URL", "localhost:6379", "redis://127.0.0.1:6379/0"),
        ("PARLEY_DRAIN_S", "-1", "seconds from 0"),
        ("PARLEY_TRUSTED_PROXIES", "10.0.0.0/33", "CIDRs"),
        ("PARLEY_SITES", "/nowhere/sites.toml", "No such file"),
        ("PARLEY_REDIS_ULR", "redis://x", "no setting of Parley"),
        ("PARLEY_HOST", "nowhere.invalid", "no such address"),
    ],
)
def test_a_wrong_value_is_named_with_what_works(run, complete, name, value, wants):
    assert_refused(run("serve", **complete | {name: value}), name, wants)


def test_a_port_in_use_is_refused_with_the_line_that_works(run, complete):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = run("serve", **complete | {"PORT": str(port)})
    assert_refused(refused, f"PORT={port} is in use", "parley serve`")


def test_a_broken_sites_file_is_named_with_what_is_wrong(run, complete, tmp_path):
    (tmp_path / "broken.toml").write_text("[[site]]\nkey = 1\n")
    refused = run("serve", **complete | {"PARLEY_SITES": str(tmp_path / "broken.toml")})
    assert_refused(refused, "broken.toml", "key")


def test_a_word_that_is_no_command(run):
    status, _, err = run("sevre")
    assert status == 2
    assert "No such command 'sevre'" in err


def test_help_and_version_need_nothing(run):
    status, out, err = run("--version")
    assert (status, err) == (0, "")
    assert out.startswith("parley ")
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    for command in ("demo", "serve", "simulate", "workers"):
        assert command in out
    status, out, err = run("simulate", "--help")
    assert (status, err) == (0, "")
    assert "parley simulate [OPTIONS]" in out and "--tier" in out


def test_help_imports_no_server():
    """The command line answers within a moment, also on a small machine."""
    heavy = "{'uvicorn', 'starlette', 'redis', 'httpx', 'asyncio'} & set(sys.modules)"
    program = f"import sys, service.cli; assert not {heavy}, {heavy}"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20, cwd=ROOT)


def text(port, path):
    with httpx.Client(trust_env=False) as client:
        return client.get(f"http://127.0.0.1:{port}{path}").text


def until_ready(run, settings):
    """What `parley workers --json` says once both workers would take customers."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        status, out, err = run("workers", "--json", **settings)
        assert (status, err) == (0, "")
        if sum(worker["ready"] for worker in json.loads(out)) == 2:
            return out
        assert time.monotonic() < deadline, out


def test_redis_away_at_the_start_and_later_makes_it_unready_and_nothing_worse(complete, tmp_path):
    settings = complete | {"PARLEY_MODEL_URL": "http://127.0.0.1:1", "WEB_CONCURRENCY": "1"}
    with Valkey() as redis:
        redis.kill()
        with Running(["serve"], tmp_path, settings | {"PARLEY_REDIS_URL": redis.url}) as serving:
            serving.until(r"parley: Redis at \S+ does not answer .* /readyz says 503 until it does")
            port = serving.until_up()
            processes = serving.processes()
            for _ in range(2):
                until_readyz_says(port, 503)
                redis.start()
                until_readyz_says(port, 200)
                redis.kill()
            assert text(port, "/healthz") == "ok\n"
            assert serving.processes() == processes


def until_readyz_says(port, status):
    deadline = time.monotonic() + WITHIN_S
    with httpx.Client(trust_env=False) as client:
        while client.get(f"http://127.0.0.1:{port}/readyz").status_code != status:
            assert time.monotonic() < deadline
            time.sleep(0.02)


# -- workers ----------------------------------------------------------------------------------


def test_workers_without_an_instance_says_how_to_name_one(run):
    refused = run("workers")
    assert_refused(refused, "PARLEY_DATA=", "no Parley runs there", "PARLEY_REDIS_URL")


def test_workers_where_redis_is_away(run):
    refused = run("workers", PARLEY_REDIS_URL="redis://127.0.0.1:1/0")
    assert_refused(refused, "Redis at redis://127.0.0.1:1/0 does not answer")


def test_workers_of_a_redis_without_any(run, redis_url):
    assert run("workers", "--json", PARLEY_REDIS_URL=redis_url) == (0, "[]\n", "")
    assert run("workers", PARLEY_REDIS_URL=redis_url) == (0, "no worker runs\n", "")


def test_the_workers_of_a_running_serve_are_listed_until_it_stops(run, complete, tmp_path):
    settings = complete | {"PARLEY_MODEL_URL": "http://127.0.0.1:1", "PARLEY_DRAIN_S": "5"}
    with Running(["serve"], tmp_path, settings) as serving:
        port = serving.until_up()
        listed = json.loads(until_ready(run, complete))
        assert [worker["name"] for worker in listed] == ["worker-1", "worker-2"]
        assert {worker["pid"] for worker in listed} == serving.processes() - {serving.pid}
        assert {worker["host"] for worker in listed} == {socket.gethostname()}
        assert text(port, "/healthz") == "ok\n"
        serving.signal(signal.SIGINT)
        assert serving.ended(6) == 0
        serving.until_nothing_is_left(0.5)
    assert run("workers", "--json", **complete)[1] == "[]\n"
