"""A recorded trace: one JSON object a line, each with its kind ``k`` and its time ``t`` (s, 1970).

What clients saw, written by the client itself; sockets are numbered through the whole trace:

| k | fields |
|---|---|
| `session` | `client`, `conversation`, `resumed`: the client got a session |
| `open` `closed` | `client`, `socket`; `code`, 0 where there never was a connection |
| `sent` `got` | `client`, `socket`, `text`: a WebSocket message, exactly |

What the server of Redis did, in its own order and by its own clock:

| k | fields |
|---|---|
| `server` | `run_id`, `why`: a connection began, or all was emptied; state may have gone back |
| `entry` | `conversation`, `o`, `text`: an entry of a log, exactly |
| `said` | `conversation`, `session`, `epoch`, `first`, `count`: who wrote these offsets |
| `meta` | `conversation`, `fields`: fields of the meta hash that were set, as strings |
| `state` | `conversation`, `final`, and all that is kept of it: `meta`, `log` [[o, text]], |
| | `messages` {m: text}, `ids` {id: [m, o]}, `open_text`, `lease`, `endless` [key without a TTL] |
| `redis` | `final`, `leases` {conversation: ms}, `tokens` {sha256: conversation}, `channels` |
| | {conversation: followers}, `endless` [key] |

And what else is known of the run:

| k | fields |
|---|---|
| `run` | `about`: seed, command, anything |
| `fault` | `what`, `whom`: what was done to the system |
| `worker` | `worker`, `when` (`before` or `after`), `counts` {what: number} |
| `tool` | `conversation`, `key`, `repeatable`: a tool was executed |
| `end` | the run ended, and everything had come to rest |
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.chaos.checker_records import Entry, LogTrace, Said, Sample, SocketTrace, frames_of


class BrokenTrace(ValueError):
    """A line that is no record; the message names it."""


class Trace:
    """A whole trace. ``Trace.read(path)``, or of lines that are at hand."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.sockets: dict[int, SocketTrace] = {}
        self.conversations: dict[str, str] = {}  # client -> its session's
        self.logs: dict[str, LogTrace] = {}
        self.redis: Mapping[str, Any] | None = None
        self.redis_line = 0
        self.workers: list[tuple[int, Mapping[str, Any]]] = []
        self.tools: list[tuple[int, Mapping[str, Any]]] = []
        self.faults: list[Mapping[str, Any]] = []
        self.about: dict[str, Any] = {}
        self.ended: float | None = None
        self.last = 0.0  # time of the newest record
        self.lines = 0
        self._life = 0
        for number, line in enumerate(lines, 1):
            self._take(number, line)
        for log in self.logs.values():
            log.settle()

    @classmethod
    def read(cls, path: Path) -> "Trace":
        with path.open(encoding="utf-8") as lines:
            return cls(lines)

    def clients(self) -> dict[str, list[SocketTrace]]:
        """Every client's sockets, in the order in which they were opened."""
        found: dict[str, list[SocketTrace]] = defaultdict(list)
        for socket in self.sockets.values():
            found[socket.client].append(socket)
        return found

    def log(self, conversation: str) -> LogTrace:
        return self.logs.setdefault(conversation, LogTrace(conversation))

    def _take(self, number: int, line: str) -> None:
        try:
            record = json.loads(line)
            self.lines, self.last = number, max(self.last, record["t"])
            getattr(self, f"_take_{record['k']}")(number, record)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BrokenTrace(f"line {number} is no record: {error!r}: {line[:200]}") from error

    # -- clients --------------------------------------------------------------------------

    def _take_session(self, line: int, record: dict[str, Any]) -> None:
        self.conversations[record["client"]] = record["conversation"]

    def _take_open(self, line: int, record: dict[str, Any]) -> None:
        client, number = record["client"], record["socket"]
        self.sockets[number] = SocketTrace(
            number, client, line, record["t"], self.conversations.get(client, "")
        )

    def _take_closed(self, line: int, record: dict[str, Any]) -> None:
        socket = self.sockets[record["socket"]]
        socket.closed, socket.code = record["t"], record["code"]

    def _take_sent(self, line: int, record: dict[str, Any]) -> None:
        self._frames(line, record, sent=True)

    def _take_got(self, line: int, record: dict[str, Any]) -> None:
        self._frames(line, record, sent=False)

    def _frames(self, line: int, record: dict[str, Any], *, sent: bool) -> None:
        for frame, text in frames_of(record["text"]):
            said = Said(line, record["t"], sent, text, frame)
            self.sockets[record["socket"]].frames.append(said)

    # -- Redis ----------------------------------------------------------------------------

    def _take_server(self, line: int, record: dict[str, Any]) -> None:
        self._life += 1

    def _take_entry(self, line: int, record: dict[str, Any]) -> None:
        entry = Entry(record["o"], record["text"], line, record["t"])
        self.log(record["conversation"]).add(entry)

    def _take_said(self, line: int, record: dict[str, Any]) -> None:
        offsets = range(record["first"], record["first"] + record["count"])
        self.log(record["conversation"]).said(record["session"], record["epoch"], offsets)

    def _take_meta(self, line: int, record: dict[str, Any]) -> None:
        log, fields = self.log(record["conversation"]), record["fields"]
        log.epoch = fields.get("epoch", log.epoch)
        if "fence" in fields:
            log.sample(Sample(line, self._life, log.epoch, fields))

    def _take_state(self, line: int, record: dict[str, Any]) -> None:
        log, epoch = self.log(record["conversation"]), record["meta"].get("epoch", "")
        log.epoch = log.epoch or epoch
        for offset, text in record["log"]:
            log.put(epoch, Entry(offset, text, line, record["t"], swept=True))
        if record["final"]:
            log.final, log.final_line = record, line

    def _take_redis(self, line: int, record: dict[str, Any]) -> None:
        if record["final"]:
            self.redis, self.redis_line = record, line

    # -- the rest -------------------------------------------------------------------------

    def _take_run(self, line: int, record: dict[str, Any]) -> None:
        self.about |= record["about"]

    def _take_fault(self, line: int, record: dict[str, Any]) -> None:
        self.faults.append(record)

    def _take_worker(self, line: int, record: dict[str, Any]) -> None:
        self.workers.append((line, record))

    def _take_tool(self, line: int, record: dict[str, Any]) -> None:
        self.tools.append((line, record))

    def _take_end(self, line: int, record: dict[str, Any]) -> None:
        self.ended = record["t"]
