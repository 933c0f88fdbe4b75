"""A whole instance for tests: simulator, `parley serve` with its workers, on a real Valkey.

Every process is started by this module and ended by it; every port is free and on 127.0.0.1.

    with Simulator(tier=50) as simulator, Instance(valkey.url, simulator.url) as instance:
        ... instance.url, instance.websocket ...
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
SITES = ROOT / "service" / "demo" / "sites.toml"
START_S = 30.0  # imports, on two cores that other tests use as well
STOP_S = 15.0
POLL_S = 0.02


def environ(**settings: str) -> dict[str, str]:
    """The machine's environment without any of Parley's settings, and then these."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PARLEY_") and name not in ("PORT", "WEB_CONCURRENCY", "REDIS_URL")
    }
    return {
        **clean,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)])),
        **settings,
    }


class Program:
    """A process whose output goes to a file, ended with its whole session."""

    def __init__(self, *words: str, settings: Mapping[str, str] | None = None) -> None:
        self.log = Path(tempfile.mkstemp(prefix="parley-test-", suffix=".log")[1])
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environ(**(settings or {})),
                cwd=ROOT,
            )

    def said(self, pattern: str, *, within: float = START_S) -> str:
        """The first group of ``pattern`` in the output, once it is there."""
        deadline = time.monotonic() + within
        while True:
            found = re.search(pattern, self.log.read_text("utf-8", "replace"))
            if found:
                return found.group(1)
            assert self.process.poll() is None, f"ended:\n{self.tail()}"
            assert time.monotonic() < deadline, f"did not say {pattern!r}:\n{self.tail()}"
            time.sleep(POLL_S)

    def tail(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_S)
            raise AssertionError(f"did not stop in {STOP_S:g} s:\n{self.tail()}") from None
        finally:
            self.log.unlink(missing_ok=True)


class Simulator:
    """The model's API in a process of its own, without waiting where the test does not ask."""

    def __init__(
        self, *, tier: int = 50, first_token_ms: int = 0, tokens_per_second: int = 0, seed: int = 7
    ) -> None:
        self._words = [
            "--port", "0", "--tier", str(tier), "--first-token-ms", str(first_token_ms),
            "--tokens-per-second", str(tokens_per_second), "--seed", str(seed),
        ]  # fmt: skip

    def __enter__(self) -> "Simulator":
        self.program = Program("-m", "service.simulator", *self._words)
        self.base = self.program.said(r"listening on (http://\S+)")
        self.url = f"{self.base}/api/paas/v4"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.program.stop()

    def control(self, **wanted: Any) -> Any:
        """Switch faults, scripts, the tier or the pace."""
        return fetch(f"{self.base}/_control", wanted)

    def stats(self) -> Any:
        """What the simulator counted by itself."""
        return fetch(f"{self.base}/stats")

    def requests(self) -> Any:
        """The newest request bodies, oldest first."""
        return fetch(f"{self.base}/_requests")


class Instance:
    """`parley serve` with ``workers`` on ``redis_url``, ready when the block begins."""

    def __init__(
        self,
        redis_url: str,
        model_url: str,
        *,
        workers: int = 2,
        sites: Path | None = None,
        **settings: str,
    ) -> None:
        self._workers = workers
        self._settings = {
            "PARLEY_REDIS_URL": redis_url,
            "PARLEY_MODEL_URL": model_url,
            "PARLEY_SITES": str(sites or SITES),
            "PARLEY_HOST": "127.0.0.1",
            "PARLEY_DATA": tempfile.mkdtemp(prefix="parley-test-data-"),
            "PARLEY_DRAIN_S": "5",
            "PORT": "0",
            "WEB_CONCURRENCY": str(workers),
            "PARLEY_LOG_FORMAT": "json",
            **settings,
        }

    def __enter__(self) -> "Instance":
        self.program = Program("-m", "service", "serve", settings=self._settings)
        self.url = self.program.said(r"(http://127\.0\.0\.1:\d+)")
        self.websocket = self.url.replace("http", "ws") + "/v1/ws"
        self.host = self.url.removeprefix("http://")
        deadline = time.monotonic() + START_S
        while len(self.workers()) < self._workers:
            assert self.program.process.poll() is None, f"ended:\n{self.program.tail()}"
            assert time.monotonic() < deadline, f"not ready:\n{self.program.tail()}"
            time.sleep(POLL_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(self.program.tail())
        self.program.stop()

    def workers(self) -> list[dict[str, Any]]:
        """The workers that are ready, as `parley workers --json` lists them."""
        listed = subprocess.run(
            [sys.executable, "-m", "service", "workers", "--json"],
            env=environ(**self._settings), cwd=ROOT, capture_output=True, check=False,
        )  # fmt: skip
        found = json.loads(listed.stdout) if listed.returncode == 0 else []
        return [worker for worker in found if worker["ready"]]


class Demo:
    """`parley demo` as people type it: its own Valkey, simulator, two workers and the sample shop.

    ``url`` is Parley's own origin, ``shop`` the same shop under a foreign one.
    """

    def __init__(self, **settings: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="parley-test-demo-")
        self._settings = {"PORT": "0", "PARLEY_DATA": self._folder, **settings}

    def __enter__(self) -> "Demo":
        self.program = Program("-m", "service", "demo", settings=self._settings)
        self.program.said(r"(up in [\d.]+ s)")
        self.url = self.program.said(r"Shop +(http://127\.0\.0\.1:\d+)/")
        self.shop = self.program.said(r"(http://shop\.localhost:\d+)/")
        self._simulator = self.program.said(r"simulator at (http://[^/\s]+)")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            print(self.program.tail())
        self.program.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def control(self, **wanted: Any) -> Any:
        """Switch the simulator's faults, scripts, tier or pace."""
        return fetch(f"{self._simulator}/_control", wanted)

    def requests(self) -> Any:
        """The newest request bodies that the simulator received, oldest first."""
        return fetch(f"{self._simulator}/_requests")


def fetch(url: str, body: Any = None) -> Any:
    """GET, or POST ``body`` as JSON; the reply's JSON."""
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=sent, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.loads(reply.read())
