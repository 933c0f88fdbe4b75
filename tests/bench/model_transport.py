"""What a model token costs in CPU on its way in: our transport against httpx's own.

    python -m tests.bench.model_transport

A process of its own sends STREAMS answers at once, one event every INTERVAL_S in each, as the model
does; this process reads them through `GlmModel`, once with each transport, in alternating rounds.
Only this process's CPU time is counted, and divided by the model tokens that it read. The figures
are this machine's; the ratio is what travels.
"""

import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import httpx
import uvloop

from service.clients import transport
from service.clients.model import GlmModel
from service.clients.patience import Patience
from service.core.model import ModelRequest, TextDelta

STREAMS = 100
TOKENS = 120  # a stream: an answer of usual length, so that setting it up weighs what it should
INTERVAL_S = 0.02
ROUNDS = 2

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = (
    b'data: {"id":"20260513104055026b785598bb460e","created":1778640055,"object":"chat.completion.'
    b'chunk","model":"glm-4-flashx-250414","choices":[{"index":0,"delta":{"role":"assistant",'
    b'"content":" word"}}]}\n\n'
)
END = (
    b'data: {"choices":[{"index":0,"finish_reason":"stop","delta":{"content":""}}]}\n\n'
    b"data: [DONE]\n\n"
)


def chunked(raw: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(raw), raw)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection after another: a request, an answer, and the same again."""
    token, end = chunked(EVENT), chunked(END) + b"0\r\n\r\n"
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            size = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            body = json.loads(await reader.readexactly(int(size)))
            writer.write(HEAD)
            due = time.monotonic()
            for _ in range(body["max_tokens"]):
                due += INTERVAL_S
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                writer.write(token)
            writer.write(end)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def source(pipe: Connection) -> None:
    """The sending process, until it is ended."""

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


def ours() -> httpx.AsyncClient:
    return transport.open_client({}, tier=STREAMS, connect_s=5.0)


def stock() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=4 * STREAMS, max_keepalive_connections=4 * STREAMS)
    return httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(None, connect=5.0))


async def read(model: GlmModel, number: int, tokens: int) -> int:
    """Characters of one answer of so many model tokens."""
    request = ModelRequest(
        messages=[{"role": "user", "content": "hi"}],
        max_tokens=tokens,
        user_id=f"customer-{number}",
        request_id=f"request-{number}",
    )
    got = 0
    async with model.stream(request, deadline=time.monotonic() + 60) as events:
        async for one in events:
            if isinstance(one, TextDelta):
                got += len(one.text)
    return got


async def measure(make: Callable[[], httpx.AsyncClient], url: str) -> float:
    """CPU microseconds a model token."""
    async with make() as client:
        model = GlmModel(client, url, "key", "model", Patience())
        await asyncio.gather(*(read(model, number, 1) for number in range(STREAMS)))  # connects
        cpu = time.process_time()
        got = await asyncio.gather(*(read(model, number, TOKENS) for number in range(STREAMS)))
        cpu = time.process_time() - cpu
    if set(got) != {len(" word") * TOKENS}:
        raise RuntimeError("an answer is not whole")
    return cpu / (STREAMS * TOKENS) * 1e6


def main() -> None:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=source, args=(there,), daemon=True
    )
    process.start()
    try:
        url = f"http://127.0.0.1:{here.recv()}"
        figures: dict[str, list[float]] = {"httpx-aiohttp": [], "httpx": []}
        for _ in range(ROUNDS):
            figures["httpx-aiohttp"].append(uvloop.run(measure(ours, url)))
            figures["httpx"].append(uvloop.run(measure(stock, url)))
    finally:
        process.terminate()
        process.join()
    medians = {name: statistics.median(values) for name, values in figures.items()}
    print(f"{STREAMS} streams of {TOKENS} model tokens, {ROUNDS} rounds each, CPU a model token:")
    for name, values in figures.items():
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"  {name:<14} {medians[name]:6.1f} us   ({spread})")
    print(f"  ratio          {medians['httpx'] / medians['httpx-aiohttp']:6.2f}")


if __name__ == "__main__":
    main()
