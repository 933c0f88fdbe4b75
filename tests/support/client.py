"""A customer's client in Python: the client rules, without a browser.

It folds frames as the widget does, checks every rule of the wire while it does (offsets without a
gap, deltas at their place, length and CRC-32 at the end), and keeps a trace of all it got.
"""

import asyncio
import itertools
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

SITE = "pk_demo"
WITHIN_S = 20.0
_numbers = itertools.count(1)
_opened: list[ClientConnection] = []


def note(socket: ClientConnection) -> ClientConnection:
    """Have ``socket`` cut at the end of its test, should that leave it open."""
    _opened.append(socket)
    return socket


async def cut_what_was_left_open() -> None:
    """A failed test closes nothing, and uvloop never ends with a socket that is open."""
    while _opened:
        _opened.pop().transport.abort()
    await asyncio.sleep(0)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def cut(text: str, at: int) -> str:
    return text.encode("utf-16-le")[: 2 * at].decode("utf-16-le")


class Conversation:
    """What a client shows: a pure fold over frames. A broken rule is an AssertionError."""

    def __init__(self) -> None:
        self.pos: list[Any] | None = None
        self.messages: dict[int, dict[str, Any]] = {}
        self.status = ""
        self.done: dict[int, dict[str, Any]] = {}

    def apply(self, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        if "o" in frame:
            assert self.pos is not None, f"a logged frame before any welcome: {frame}"
            if frame["o"] <= self.pos[1]:
                return
            assert frame["o"] == self.pos[1] + 1, f"a hole after {self.pos}: {frame}"
            self.pos[1] = frame["o"]
        match kind:
            case "welcome":
                if frame["mode"] != "replay":
                    self.pos = list(frame["pos"])
                self.status = frame["status"]
            case "snapshot":
                self.pos = list(frame["pos"])
                self.messages = {message["m"]: dict(message) for message in frame["messages"]}
            case "message.created":
                self.messages[frame["message"]["m"]] = dict(frame["message"])
            case "answer.started":
                self._started(frame)
            case "answer.delta":
                message = self.messages[frame["m"]]
                assert frame["r"] == message["r"] and frame["at"] == units(message["text"]), frame
                message["text"] += frame["text"]
            case "answer.rewound":
                message = self.messages[frame["m"]]
                message["text"], message["r"] = cut(message["text"], frame["at"]), frame["r"]
            case "answer.done":
                self._ended(frame)
            case "answer.rated":
                self.messages[frame["m"]]["rating"] = frame["value"]
            case "conversation.updated":
                self.status = frame["status"]

    def _started(self, frame: dict[str, Any]) -> None:
        known = self.messages.get(frame["m"])
        if known is None:
            known = self.messages[frame["m"]] = {
                "m": frame["m"], "author": "assistant", "text": "", "r": frame["r"], "done": False,
            }  # fmt: skip
        known["answers"] = frame["answers"]
        known["attempt"] = frame["attempt"]
        if "replaces" in frame:
            known["replaces"] = frame["replaces"]

    def _ended(self, frame: dict[str, Any]) -> None:
        message = self.messages[frame["m"]]
        if frame["reason"] == "withdrawn":
            message["text"] = ""
        text = message["text"]
        assert units(text) == frame["length"], f"length of {frame['m']}: {units(text)}, {frame}"
        assert zlib.crc32(text.encode()) == frame["crc32"], f"crc32 of {frame['m']}: {frame}"
        message["done"], message["reason"] = True, frame["reason"]
        self.done[frame["m"]] = frame

    def answers(self) -> list[dict[str, Any]]:
        return [m for _, m in sorted(self.messages.items()) if m["author"] == "assistant"]


class Client:
    """One customer: a session, a socket, what it shows, and what it got."""

    def __init__(self, url: str, *, site: str = SITE, origin: str | None = None) -> None:
        self.url = url
        self.origin = origin or url
        self.site = site
        self.session: dict[str, Any] = {}
        self.view = Conversation()
        self.frames: list[dict[str, Any]] = []
        self.acks: dict[str, dict[str, Any]] = {}
        self.close_code: int | None = None
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._changed = asyncio.Condition()

    async def start(self, *, resume: str | None = None) -> "Client":
        """A session from `/v1/sessions`."""
        body: dict[str, Any] = {"site": self.site}
        if resume is not None:
            body["resume"] = resume
        async with httpx.AsyncClient(trust_env=False) as http:
            reply = await http.post(
                f"{self.url}/v1/sessions", json=body, headers={"origin": self.origin}
            )
        reply.raise_for_status()
        self.session = reply.json()
        return self

    async def connect(self, *, fresh: bool = False, locale: str = "en", hello: bool = True) -> None:
        """A socket, and hello with the position that this client has."""
        address = self.url.replace("http", "ws", 1) + "/v1/ws"
        self.close_code = None
        self._socket = note(
            await connect(
                address, origin=self.origin, subprotocols=["parley.v1"], compression=None,
                ping_interval=None, close_timeout=1, proxy=None,
            )
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read(self._socket))
        if hello:
            pos = None if fresh else self.view.pos
            count = len(self.frames)
            await self.say(
                {"type": "hello", "v": 1, "token": self.session["token"], "locale": locale}
                | ({} if pos is None else {"pos": pos})
            )
            await self.until(
                lambda: (
                    self.close_code is not None
                    or any(f["type"] == "welcome" for f in self.frames[count:])
                )
            )

    async def say(self, *frames: Any) -> None:
        assert self._socket is not None
        for frame in frames:
            text = frame if isinstance(frame, str | bytes) else json.dumps(frame)
            await self._socket.send(text)

    async def send(self, text: str, *, id: str | None = None) -> str:
        """Send a message; its id."""
        name = id or f"message-{next(_numbers):08d}"
        await self.say({"type": "message.send", "id": name, "text": text})
        return name

    async def ask(self, text: str, *, within: float = WITHIN_S) -> dict[str, Any]:
        """Send a message and wait for the answer that covers it."""
        name = await self.send(text)
        await self.until(lambda: name in self.acks, within=within)
        m = self.acks[name]["m"]
        return await self.answer_to(m, within=within)

    async def answer_to(self, m: int, *, within: float = WITHIN_S) -> dict[str, Any]:
        """The finished answer that covers message ``m``."""

        def covering() -> list[dict[str, Any]]:
            return [a for a in self.view.answers() if m in a.get("answers", []) and a["done"]]

        await self.until(lambda: bool(covering()), within=within)
        return covering()[-1]

    async def until(self, check: Callable[[], object], *, within: float = WITHIN_S) -> None:
        """Wait until ``check`` is true; every frame asks again."""
        try:
            async with asyncio.timeout(within), self._changed:
                await self._changed.wait_for(lambda: bool(check()) or self._broken() is not None)
        except TimeoutError:
            raise AssertionError(f"not within {within:g} s; last: {self.frames[-5:]}") from None
        broken = self._broken()
        if broken is not None and not check():
            raise broken

    async def got(self, kind: str, *, within: float = WITHIN_S, **fields: Any) -> dict[str, Any]:
        """The first frame of ``kind`` with these fields."""

        def found() -> list[dict[str, Any]]:
            return [
                f for f in self.frames
                if f["type"] == kind and all(f.get(k) == v for k, v in fields.items())
            ]  # fmt: skip

        await self.until(lambda: bool(found()), within=within)
        return found()[0]

    async def closed(self, *, within: float = WITHIN_S) -> int:
        """The close code, once the server has closed."""
        await self.until(lambda: self.close_code is not None, within=within)
        assert self.close_code is not None
        return self.close_code

    async def drop(self) -> None:
        """Cut the connection without a word, as a lost network does."""
        assert self._socket is not None and self._reading is not None
        self._socket.transport.abort()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def stop(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)

    def _broken(self) -> BaseException | None:
        task = self._reading
        if task is not None and task.done() and not task.cancelled():
            return task.exception()
        return None

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                value = json.loads(message)
                for frame in value if isinstance(value, list) else [value]:
                    self.frames.append(frame)
                    if frame["type"] == "message.ack":
                        self.acks[frame["id"]] = frame
                    self.view.apply(frame)
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        finally:
            self.close_code = socket.close_code or 1006
            async with self._changed:
                self._changed.notify_all()


@asynccontextmanager
async def customer(
    url: str, *, locale: str = "en", site: str = SITE, origin: str | None = None
) -> AsyncIterator[Client]:
    """A customer who is connected; closed at the end of the block."""
    client = await Client(url, site=site, origin=origin).start()
    try:
        await client.connect(locale=locale)
        yield client
    finally:
        await client.stop()
