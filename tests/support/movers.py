"""Customers who behave as the widget does when their worker goes, and who watch for seams.

On `goaway` a customer opens a new socket, resumes on it by position, and closes the old one once it
is welcome. The wire's rules are checked all the while by the fold of `client.py`. A customer asks
one question after the other, and notes when each piece of an answer came.
"""

import asyncio
import itertools
import json
import random
from collections import deque
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.support.client import Client, Conversation, note
from tests.support.seen import Seen, Watch

BASE_S, CAP_S = 0.5, 20.0  # the widget's waiting times: full jitter up to base x 2^failures
SPREAD_FROM = 3  # after these close codes everybody comes back at once, so they wait longer
SPREAD_CODES = (1012, 1013, 4429, 4430)
OPEN_S = 10.0
PAUSE_S = 1.0  # between an answer and the next question, on average

_names = itertools.count(1)


class _Link:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome = False
        self.stale = False  # its snapshot is older than what the other socket brought


class Mover:
    """One customer. ``failure`` is the first rule of the wire that was broken, if any."""

    def __init__(self, url: str, seen: Seen) -> None:
        self.view = Conversation()
        self.session: dict[str, Any] = {}
        self.failure: BaseException | None = None
        self.frames: deque[dict[str, Any]] = deque(maxlen=50)  # the newest that came
        self._url = url
        self._seen = seen
        self._link: _Link | None = None
        self._successor: _Link | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._failures = 0
        self._over = False
        self._unacked: dict[str, str] = {}
        self._acked: dict[str, int] = {}
        self._watch = Watch(seen)
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> "Mover":
        self.session = (await Client(self._url).start()).session
        await self._come_back(0.0)
        return self

    async def talk(self, question: str, enough: asyncio.Event, *, within: float) -> None:
        """Ask until it is ``enough``; each answer must be there within so many seconds."""
        while not enough.is_set() and self.failure is None:
            name = f"question-{next(_names):08d}"
            self._unacked[name] = question
            await self._post(name)
            try:
                async with asyncio.timeout(within):
                    while not self._answered(name):
                        await self._changed.wait()
                        self._changed.clear()
            except TimeoutError:
                raise AssertionError(f"no answer within {within:g} s: {self}") from None
            self._seen.answers += 1
            await asyncio.sleep(random.uniform(0, 2 * PAUSE_S))

    def __str__(self) -> str:
        newest = [(m["m"], m["author"], m.get("done"), len(m["text"]), m.get("answers"))
                  for m in list(self.view.messages.values())[-4:]]  # fmt: skip
        return (
            f"{self.session.get('conversation')} at {self.view.pos}, unacked {self._unacked}, "
            f"acked {list(self._acked.items())[-2:]}, {newest}, last {list(self.frames)[-6:]}"
        )

    def _answered(self, name: str) -> bool:
        m = self._acked.get(name)
        newest = itertools.islice(reversed(self.view.messages.values()), 4)  # asked for every piece
        done = (a for a in newest if a["author"] == "assistant" and a["done"])
        return self.failure is not None or any(m in a.get("answers", []) for a in done)

    async def stop(self) -> None:
        self._over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in (self._link, self._successor):
            if link is not None:
                await link.socket.close()

    # -- sockets ----------------------------------------------------------------------------

    def _background(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _open(self) -> _Link:
        address = self._url.replace("http", "ws", 1) + "/v1/ws"
        link = _Link(
            note(
                await connect(
                    address, origin=self._url, subprotocols=["parley.v1"], compression=None,
                    ping_interval=None, open_timeout=OPEN_S, close_timeout=1, proxy=None,
                )
            )
        )  # fmt: skip
        hello = {"type": "hello", "v": 1, "token": self.session["token"]}
        if self.view.pos is not None:
            hello["pos"] = self.view.pos
        await link.socket.send(json.dumps(hello))
        self._background(self._read(link))
        return link

    async def _come_back(self, wait_s: float) -> None:
        """A socket in the place of one that is gone, however long it takes."""
        while True:
            await asyncio.sleep(wait_s)
            try:
                self._link = await self._open()
                return
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed):
                self._seen.refused += 1
                wait_s = self._backoff()

    async def _leave(self, after_ms: int) -> None:
        """A successor for the socket there is, somewhere in the first half of its time."""
        wait_s = random.random() * after_ms / 2000
        while True:
            await asyncio.sleep(wait_s)
            try:
                self._successor = await self._open()
                return
            except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed):
                self._seen.refused += 1
                wait_s = self._backoff()

    def _backoff(self) -> float:
        self._failures += 1
        return random.random() * min(CAP_S, BASE_S * 2 ** (self._failures - 1))

    def _ended(self, link: _Link) -> None:
        if self._over:
            return
        if link is self._successor:
            self._successor = None
            self._leaving = self._background(self._leave(0))
        elif link is self._link and self._successor is not None:
            self._link, self._successor = self._successor, None
        elif link is self._link:
            code = link.socket.close_code or 1006
            self._seen.cuts.append(code)
            if self._leaving is not None:
                self._leaving.cancel()
            if code in SPREAD_CODES:
                self._failures = max(self._failures, SPREAD_FROM)
            self._background(self._come_back(self._backoff() if self._failures else 0.0))

    async def _read(self, link: _Link) -> None:
        try:
            async for message in link.socket:
                frames = json.loads(message)
                for frame in frames if isinstance(frames, list) else [frames]:
                    await self._receive(link, frame)
                self._changed.set()
        except ConnectionClosed:
            pass
        except (AssertionError, KeyError) as error:
            self.failure = error
            self._changed.set()
        finally:
            self._ended(link)

    # -- frames -------------------------------------------------------------------------------

    async def _receive(self, link: _Link, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        match frame["type"]:
            case "welcome":
                await self._welcomed(link, frame)
                if link.stale:
                    return
            case "snapshot" if link.stale:
                link.stale = False
                return
            case "goaway" if link is self._link:
                if self._leaving is None or self._leaving.done():
                    self._leaving = self._background(self._leave(frame["after_ms"]))
            case "message.ack":
                self._acked[frame["id"]] = frame["m"]
                self._unacked.pop(frame["id"], None)
        if "o" in frame and self.view.pos is not None and frame["o"] > self.view.pos[1]:
            self._watch.look(frame)
        self.view.apply(frame)

    async def _welcomed(self, link: _Link, frame: dict[str, Any]) -> None:
        link.welcome, self._failures = True, 0
        epoch, top = self.view.pos or (None, 0)
        link.stale = frame["mode"] == "snapshot" and frame["pos"][0] == epoch and (
            frame["pos"][1] < top
        )  # fmt: skip
        if link is self._successor:
            old, self._link, self._successor = self._link, link, None
            self._seen.moves += 1
            if old is not None:
                self._background(old.socket.close())
        for name in list(self._unacked):
            await self._post(name)

    async def _post(self, name: str) -> None:
        """Send it, if there is a socket; else the next welcome does."""
        if self._link is not None and self._link.welcome:
            sent = {"type": "message.send", "id": name, "text": self._unacked[name]}
            try:
                await self._link.socket.send(json.dumps(sent))
            except ConnectionClosed:
                return

    # -- the end --------------------------------------------------------------------------------

    async def assert_like_the_log(self) -> None:
        """What is shown is what a client gets that comes only now."""
        if self.failure is not None:
            raise self.failure
        self._seen.texts |= {answer["text"] for answer in self.view.answers()}
        fresh = Client(self._url)
        fresh.session = self.session
        await fresh.connect(fresh=True)
        await fresh.until(lambda: fresh.view.pos is not None and fresh.view.messages)
        shown = {m: (one["text"], one.get("done", True)) for m, one in self.view.messages.items()}
        logged = {m: (one["text"], one.get("done", True)) for m, one in fresh.view.messages.items()}
        await fresh.stop()
        newest = {m: shown.get(m) for m in logged}  # a snapshot has the newest 50
        assert newest == logged


async def crowd(url: str, count: int, seen: Seen) -> list[Mover]:
    """So many customers, connected, a few at a time."""
    movers = [Mover(url, seen) for _ in range(count)]
    few = asyncio.Semaphore(10)

    async def start(mover: Mover) -> None:
        async with few:
            await mover.start()

    await asyncio.gather(*(start(mover) for mover in movers))
    return movers


async def while_they_talk(
    movers: list[Mover], question: str, happening: Any, *, within: float
) -> None:
    """Have all of them ask for as long as ``happening`` (a coroutine) runs, and a last answer."""
    enough = asyncio.Event()
    talks = [asyncio.create_task(mover.talk(question, enough, within=within)) for mover in movers]
    try:
        await happening
        enough.set()
        await asyncio.gather(*talks)
    finally:
        enough.set()
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
