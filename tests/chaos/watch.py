"""What Redis did, for the trace: every write in the order in which it was done.

A watch follows the server by MONITOR, past every proxy. So it has the server's own time of each
write, and sees also what a trim takes away at once; no polling would. After a new connection it
looks at all that is kept, because it may have missed some, and the trace says that it may.
"""

import asyncio
import itertools
import json
import math
import re
from asyncio import FIRST_COMPLETED
from contextlib import suppress
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from service.store import keys
from service.store.connection import make_connection
from tests.chaos.recorder import Recorder

AGAIN_S = 0.02  # between tries to reach the server
CAUGHT_UP_S = 20.0
METAS = "parley:{p[0-9a-f][0-9a-f]}:meta:*"
FIELDS = frozenset(
    {"epoch", "top", "messages", "status", "turn", "queued", "fence", "owner", "lease", "attempt",
     "step", "revision", "length", "crc", "cancel", "generation"}
)  # fmt: skip
ARGUMENT = re.compile(rb'"((?:[^"\\]|\\.)*)"')
ENTRY_ID = re.compile(rb"(\d+)-\d+")


class Watch:
    """Follows one server. On a cluster, watch every node."""

    _client: Any  # redis-py's own types promise less than it does

    def __init__(self, url: str, recorder: Recorder) -> None:
        self._url = url
        self._recorder = recorder
        self._following = asyncio.Event()
        self._awaited: dict[bytes, asyncio.Event] = {}
        self._numbers = itertools.count(1)

    async def __aenter__(self) -> "Watch":
        self._client = redis.asyncio.Redis.from_url(self._url)
        self._task = asyncio.create_task(self._follow())
        async with asyncio.timeout(CAUGHT_UP_S):
            await self._following.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._client.aclose()

    async def switch(self, url: str) -> None:
        """Follow another server from now on, which takes over from the old one. Call it before
        anybody writes to the new one, and after the last write to the old one.
        """
        await self._caught_up()
        await self.__aexit__(None, None, None)
        self._url = url
        await self.__aenter__()

    async def final(self) -> None:
        """Write down all that is kept, once everything that was done before is in the trace."""
        await self._caught_up()
        await self._look(final=True)
        self._recorder.write("redis", final=True, **await self._everything())

    async def _caught_up(self) -> None:
        """Until the trace has what was done before. Raises what ended the watch, if it ended."""
        async with asyncio.timeout(CAUGHT_UP_S):
            while True:
                await self._following.wait()
                marker = b"recorded-%d" % next(self._numbers)
                seen = self._awaited[marker] = asyncio.Event()
                await self._client.echo(marker)
                waiting = asyncio.create_task(seen.wait())
                await asyncio.wait({waiting, self._task}, timeout=1, return_when=FIRST_COMPLETED)
                waiting.cancel()
                del self._awaited[marker]
                if self._task.done():
                    self._task.result()
                if seen.is_set():
                    return

    async def _follow(self) -> None:
        while True:
            connection = make_connection(self._url, name="recorder")
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                await connection.send_command("MONITOR")
                await connection.read_response(disable_decoding=True, timeout=math.inf)
                run_id = (await self._client.info("server"))["run_id"]
                self._recorder.write("server", run_id=run_id, why="connected")
                await self._look(final=False)
                self._following.set()
                while True:
                    line = await connection.read_response(disable_decoding=True, timeout=math.inf)
                    self._take(line)
            except (RedisError, OSError, RuntimeError):  # uvloop's word for a closed transport
                await asyncio.sleep(AGAIN_S)
            finally:
                self._following.clear()
                with suppress(RedisError, OSError):
                    await connection.disconnect(nowait=True)

    # -- what was done ----------------------------------------------------------------------

    def _take(self, line: bytes) -> None:
        """One line of MONITOR: a time, where it came from, and the command's quoted words."""
        if b'"XADD"' in line and b":log:" in line:
            self._entry(line)
        elif b'"HSET"' in line and b":meta:" in line:
            self._meta(line)
        elif b'"SPUBLISH"' in line and b":channel:" in line:
            self._said(line)
        elif b'"FLUSH' in line.upper():
            self._recorder.write("server", t=_time(line), run_id="", why="emptied")
        elif b'"ECHO"' in line.upper():
            seen = self._awaited.get(arguments(line)[-1])
            if seen is not None:
                seen.set()

    def _entry(self, line: bytes) -> None:
        _, key, *rest = arguments(line)
        place = next((i for i, word in enumerate(rest) if ENTRY_ID.fullmatch(word)), None)
        frame = _frame(rest[place + 1 :]) if place is not None else b""
        if place is not None and frame:
            offset = int(rest[place].split(b"-")[0])
            self._recorder.write(
                "entry", t=_time(line), conversation=_name(key), o=offset, text=_text(frame)
            )

    def _meta(self, line: bytes) -> None:
        _, key, *rest = arguments(line)
        pairs = dict(zip(rest[::2], rest[1::2], strict=False))
        fields = {_text(n): _text(v) for n, v in pairs.items() if _text(n) in FIELDS}
        if "epoch" in fields or "fence" in fields:
            self._recorder.write("meta", t=_time(line), conversation=_name(key), fields=fields)

    def _said(self, line: bytes) -> None:
        _, channel, message = arguments(line)
        head, _, frames = message.partition(b"\n")
        match head.split(b" "):
            case [b"L", session, epoch, first]:
                self._recorder.write(
                    "said", t=_time(line), conversation=_name(channel), session=_text(session),
                    epoch=_text(epoch), first=int(first), count=frames.count(b"\n") + 1,
                )  # fmt: skip

    # -- what is kept -----------------------------------------------------------------------

    async def _look(self, *, final: bool) -> None:
        async for key in self._client.scan_iter(match=METAS, count=1000):
            await self._state(_name(key), final=final)

    async def _state(self, conversation: str, *, final: bool) -> None:
        names = keys.conversation(conversation)
        async with self._client.pipeline(transaction=True) as at_once:
            at_once.hgetall(names.meta).xrange(names.log).hgetall(names.messages)
            at_once.hgetall(names.ids).get(names.text).zscore(names.leases, conversation)
            for key in names[:-1]:
                at_once.ttl(key)
            meta, log, messages, ids, text, lease, *lives = await at_once.execute()
        self._recorder.write(
            "state",
            conversation=conversation,
            final=final,
            meta={_text(name): _text(value) for name, value in meta.items()},
            log=[[int(id.split(b"-")[0]), _text(_frame_of(entry))] for id, entry in log],
            messages={_text(m): _text(message) for m, message in messages.items()},
            ids={
                _text(name[3:]): [int(part) for part in place.split(b",")]
                for name, place in ids.items()
                if name.startswith(b"id:")
            },
            open_text=None if text is None else _text(text),
            lease=lease,
            endless=[key for key, ttl in zip(names[:-1], lives, strict=True) if ttl == -1],
        )

    async def _everything(self) -> dict[str, Any]:
        client = self._client
        leases: dict[str, float] = {}
        for number in range(keys.PARTITIONS):
            found = await client.zrange(keys.leases(number), 0, -1, withscores=True)
            leases |= {_text(name): score for name, score in found}
        tokens: dict[str, str] = {}
        async for key in client.scan_iter(match="parley:token:*", count=1000):
            value = await client.get(key)
            if value is not None:
                tokens[_text(key).rsplit(":", 1)[1]] = json.loads(value)["conversation"]
        endless = [
            _text(key) async for key in client.scan_iter(match="parley:*", count=1000)
            if await client.ttl(key) == -1
            and not any(fnmatchcase(_text(key), known) for known in keys.PERMANENT)
        ]  # fmt: skip
        followed = await client.execute_command("PUBSUB", "SHARDCHANNELS", "parley:*")
        channels = {}
        for channel in followed:
            _, count = await client.execute_command("PUBSUB", "SHARDNUMSUB", channel)
            channels[_name(channel)] = int(count)
        return {"leases": leases, "tokens": tokens, "endless": endless, "channels": channels}


def arguments(line: bytes) -> list[bytes]:
    """The words of a command, as MONITOR quotes them."""
    at = line.index(b'] "') + 2
    return [_unquoted(word) for word in ARGUMENT.findall(line, at)]


def _unquoted(word: bytes) -> bytes:
    if b"\\" not in word:
        return word
    return word.decode("unicode_escape").encode("latin-1")


def _time(line: bytes) -> float:
    return float(line[: line.index(b" ")])


def _name(key: bytes) -> str:
    """The conversation of `parley:{pNN}:meta:<c>`."""
    return _text(key).split(":", 3)[3]


def _frame(pairs: list[bytes]) -> bytes:
    return _frame_of(dict(zip(pairs[::2], pairs[1::2], strict=False)))


def _frame_of(entry: dict[bytes, bytes]) -> bytes:
    """The frame among an entry's fields."""
    return entry.get(b"f") or next((v for v in entry.values() if v.startswith(b'{"o":')), b"")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
