"""A server that sends exactly the bytes it is told to, when it is told to, and sees who goes."""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def frame(text: str | None = None, **choice: Any) -> bytes:
    """One event in the provider's own shape."""
    delta = {"role": "assistant"} | ({} if text is None else {"content": text})
    body = {
        "id": "20260513104055026b785598bb460e",
        "created": 1778640055,
        "object": "chat.completion.chunk",
        "model": "glm-4-flashx-250414",
        "choices": [{"index": 0, "delta": delta | choice.pop("delta", {}), **choice}],
    }
    return event(body)


def event(body: Any) -> bytes:
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def last(reason: str = "stop", **more: Any) -> bytes:
    usage = {"prompt_tokens": 7, "completion_tokens": 46, "total_tokens": 53}
    choice = {"index": 0, "finish_reason": reason, "delta": {"role": "assistant", "content": ""}}
    return event({"id": "x", "choices": [choice], "usage": usage} | more)


DONE = b"data: [DONE]\n\n"


def chunked(raw: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(raw), raw)


def plain(status: int, body: bytes, kind: str = "application/json") -> bytes:
    """A whole answer."""
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@dataclass
class Seen:
    """One request, and what became of its connection."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    connection: int
    closed_at: float | None = None  # time.monotonic() when the client was gone


@dataclass
class Line:
    """What an answer is written with."""

    writer: asyncio.StreamWriter

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def pieces(self, raw: bytes, size: int = 1) -> None:
        """``raw`` in HTTP chunks of ``size`` bytes, each in a write of its own."""
        for at in range(0, len(raw), size):
            await self.send(chunked(raw[at : at + size]))
            await asyncio.sleep(0)


Answer = Callable[[Line, Seen], Awaitable[None]]


@dataclass
class RawServer:
    answer: Answer
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
            ):
                while True:
                    await self._one(reader, writer, number)
        finally:
            writer.close()

    async def _one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        seen = Seen(first.split(" ")[1], headers, json.loads(body or b"{}"), number)
        self.seen.append(seen)
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        answering = asyncio.ensure_future(self.answer(Line(writer), seen))
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                seen.closed_at = time.monotonic()
                raise ConnectionResetError
            await answering
            if writer.is_closing():
                raise ConnectionResetError
        finally:
            self.open_now -= 1
            for task in (answering, gone):
                task.cancel()
            # A reader allows one wait at a time: this one must be over before the next request.
            await asyncio.gather(answering, gone, return_exceptions=True)


@asynccontextmanager
async def raw_server(answer: Answer, tls: Path | None = None) -> AsyncIterator[RawServer]:
    """``tls`` is a PEM file with a key and a certificate for localhost."""
    state = RawServer(answer)
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
    server = await asyncio.start_server(state.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    origin = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    state.url = f"{origin}/api/paas/v4"
    try:
        yield state
    finally:
        server.close()
        await server.wait_closed()
