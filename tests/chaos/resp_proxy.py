"""A TCP proxy before a real Redis that hurts replies, requests and pub/sub messages by rule.

    async with RespProxy(valkey.url, Rule(Cut(), "FCALL append_*", first=3)) as proxy:
        ... proxy.url ...

Besides the rules there is the weather, for all connections at once:

    hold, release    nothing passes meanwhile, and nothing is lost: a partition that TCP outlives
    half_open, heal  connections stand and new ones are accepted, and nothing ever passes on them
    refuse, accept   nobody is there: connections are cut, new ones refused
    switch           another server behind the same address
    latency_s        each reply comes so much later; bytes_per_s: and no faster than that

It runs in the test's own loop. Every fault that it did is in ``counts`` and ``journal``.
"""

import asyncio
import socket
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from tests.chaos.resp_link import Link
from tests.chaos.resp_rules import Fault, Rule

JOURNAL = 10_000  # deeds remembered
BACKLOG = 512


class Deed(NamedTuple):
    """A fault that was done: when (time.time()), what, and to which command or push."""

    at: float
    fault: str
    words: str


class Target(NamedTuple):
    """Where the real server is: a unix socket's path, or host and port."""

    path: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Target":
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return cls(unquote(parts.path), "", 0)
        if parts.scheme != "redis":
            raise ValueError(f"unix:// or redis://, not {url}")
        return cls("", parts.hostname or "127.0.0.1", parts.port or 6379)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.path:
            return await asyncio.open_unix_connection(self.path)
        return await asyncio.open_connection(self.host, self.port)


class RespProxy:
    """An address of its own, ``url``, before the server at ``target``."""

    def __init__(self, target: str, *rules: Rule, seed: int = 0) -> None:
        self.rules: list[Rule] = []
        self.counts: Counter[str] = Counter()
        self.journal: deque[Deed] = deque(maxlen=JOURNAL)
        self.latency_s = 0.0
        self.bytes_per_s: float | None = None
        self._seed = seed
        self._target = Target.of(target)
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._silent = False
        self._server: asyncio.Server | None = None
        self._bound: socket.socket | None = None  # keeps the port while nobody listens
        self.add(*rules)

    def add(self, *rules: Rule) -> None:
        """Follow ``rules``, too. Of several that strike at once the first one counts."""
        for rule in rules:
            rule.seed(f"{self._seed} {len(self.rules)} {rule.fault} {rule.pattern}")
            self.rules.append(rule)

    async def __aenter__(self) -> "RespProxy":
        self._bound = _bound_to(0)
        self.port = int(self._bound.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}"
        await self.accept()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop_listening()
        if self._bound is not None:
            self._bound.close()
        self._passing.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connections(self) -> int:
        return len(self._links)

    # -- the weather --------------------------------------------------------------------------

    def hold(self) -> None:
        """Let nothing pass, either way, until ``release``; then everything does, in order."""
        self._passing.clear()

    def release(self) -> None:
        self._passing.set()

    @asynccontextmanager
    async def held(self) -> "AsyncIterator[None]":
        self.hold()
        try:
            yield
        finally:
            self.release()

    async def partition(self, seconds: float) -> None:
        """Hold everything for so long."""
        async with self.held():
            await asyncio.sleep(seconds)

    def half_open(self) -> None:
        """From now on nothing passes on any connection, old or new, and none is closed."""
        self._silent = True
        for link in self._links:
            link.fall_silent()

    def heal(self) -> None:
        """New connections work again; those that fell silent are reset, as an unknown one is."""
        self._silent = False
        for link in list(self._links):
            if link.silent:
                link.cut(reset=True)

    def cut_all(self, *, reset: bool = True) -> None:
        """End every connection."""
        for link in list(self._links):
            link.cut(reset=reset)

    async def refuse(self) -> None:
        """Nobody is there: end every connection and refuse new ones, until ``accept``."""
        self._stop_listening()
        self.cut_all()
        if self._bound is None:
            self._bound = _bound_to(self.port)

    async def accept(self) -> None:
        if self._bound is not None:
            listener, self._bound = self._bound, None
            self._server = await asyncio.start_server(
                self._serve, sock=listener, backlog=BACKLOG, limit=1 << 20
            )

    def switch(self, target: str, *, cut: bool = True) -> None:
        """Another server takes over the address; ``cut`` ends the connections to the old one."""
        self._target = Target.of(target)
        if cut:
            self.cut_all()

    # -- for the links ------------------------------------------------------------------------

    def fault(self, words: Sequence[bytes], message: bytes, *, push: bool) -> Fault | None:
        """What shall befall a command or push; the deed is written down."""
        for rule in self.rules:
            if rule.push == push and rule.strikes(words, message):
                name = type(rule.fault).__name__
                self.counts[name] += 1
                told = b" ".join(words[:2]).decode("utf-8", "replace")[:80]
                self.journal.append(Deed(time.time(), name, told))
                return rule.fault
        return None

    async def passing(self) -> None:
        """Until something may pass."""
        if not self._passing.is_set():
            self.counts["held"] += 1
            await self._passing.wait()

    # -- connections --------------------------------------------------------------------------

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.counts["connections"] += 1
        link = Link(self, (reader, writer), silent=self._silent)
        self._links.add(link)
        try:
            with suppress(OSError):
                await link.run(self._target.connect)
        except asyncio.CancelledError:
            return  # the proxy ends; a server's task must not pass that on
        finally:
            self._links.discard(link)
            self._tasks.discard(task)


def _bound_to(port: int) -> socket.socket:
    """A socket that has the address and does not listen: who connects is refused."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    bound.setblocking(False)
    return bound
