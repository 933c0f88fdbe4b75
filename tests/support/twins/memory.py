"""What all workers of a test share in the place of Redis: the conversations, and a clock.

`log.py` decides over it as the functions on the server do over their keys.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from service.core import hints
from service.core.errors import RateLimited
from service.core.model import OpenTurn, Status
from tests.support.twins.channels import Air

LEASE_MS = 3000
IDS = 256
HANDLES = 64
GRACE_MS = 60_000


@dataclass
class Conversation:
    """Everything that is known of one conversation."""

    name: str
    epoch: str
    site: str
    top: int = 0
    newest: int = 0
    status: Status = "assisted"
    generation: int = 1
    fence: int = 0
    owner: str = ""
    lease: int = 0
    step: int = 0
    asked: bool = False
    turn: OpenTurn | None = None
    text: str = ""
    length: int = 0
    crc32: int = 0
    queued: list[int] = field(default_factory=list)
    last: tuple[int, str, tuple[int, ...]] = (0, "", ())  # newest answer: number, reason, answers
    arrival: float = 0
    ids: OrderedDict[str, tuple[int, int]] = field(default_factory=OrderedDict)
    entries: dict[int, bytes] = field(default_factory=dict)
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    handles: dict[str, list[Any]] = field(default_factory=dict)  # digest: born, parent, retired
    fresh: list[bytes] = field(default_factory=list)  # logged by the call that runs

    def log(self, body: str) -> None:
        self.top += 1
        frame = f'{{"o":{self.top},{body}'.encode()
        self.entries[self.top] = frame
        self.fresh.append(frame)

    def after(self, known: int) -> tuple[bytes, ...]:
        """Frames after ``known``; none for one who follows no log (-1)."""
        if known < 0:
            return ()
        return tuple(self.entries[o] for o in sorted(self.entries) if o > known)

    def log_message(self, tail: bytes, now_ms: int) -> None:
        self.newest += 1
        raw = b'{"m":%d,"time":%d,%b' % (self.newest, now_ms, tail)
        self.messages[self.newest] = orjson.loads(raw) | {"r": 0, "done": True}
        self.log(f'"type":"message.created","message":{raw.decode()}}}')

    def open_turn(
        self, session: str, answers: Sequence[int], replaces: int | None, now_ms: int
    ) -> None:
        self.newest += 1
        if self.owner != session:
            self.owner, self.fence, self.step = session, self.fence + 1, 0
        self.turn = OpenTurn(
            self.newest, 0, 0, 1, 1, tuple(answers), replaces, False, since_ms=now_ms
        )
        self.asked = False
        self.text, self.length, self.crc32 = "", 0, 0
        self.log_started()

    def log_started(self) -> None:
        assert self.turn is not None
        answers = ",".join(map(str, self.turn.answers))
        replaces = "" if self.turn.replaces is None else f',"replaces":{self.turn.replaces}'
        self.log(
            f'"type":"answer.started","m":{self.turn.m},"attempt":{self.turn.attempt},'
            f'"r":{self.turn.revision},"answers":[{answers}]{replaces}}}'
        )

    def change_turn(self, **changes: Any) -> None:
        assert self.turn is not None
        self.turn = msgspec.structs.replace(self.turn, **changes)

    def open_answer(self) -> OpenTurn | None:
        """The open turn as its owner must know it."""
        if self.turn is None:
            return None
        return msgspec.structs.replace(self.turn, fence=self.fence, step=self.step)

    def limit(self, now_ms: int, a_minute: int) -> None:
        share = 60_000 / a_minute
        arrival = max(self.arrival, now_ms)
        wait = arrival - now_ms - (60_000 - share)
        if wait > 0:
            raise RateLimited(retry_ms=-int(-wait // 1))
        self.arrival = int(arrival + share)

    def remember(self, id: str) -> tuple[int, int]:
        self.ids[id] = self.newest, self.top
        while len(self.ids) > IDS:
            self.ids.popitem(last=False)
        return self.ids[id]

    def redeem(self, used: str, successor: str, now_ms: int) -> int | None:
        if used:
            record = self.handles.get(used)
            if record is None:
                return None
            _, parent, retired = record
            if retired is not None and now_ms > retired + GRACE_MS:
                self.handles.clear()
                self.generation += 1
                return None
            if parent in self.handles and self.handles[parent][2] is None:
                self.handles[parent][2] = now_ms
        self.handles[successor] = [now_ms, used, None]
        return self.generation


class Memory:
    """``fault`` may lose a call before it is done, or after ("before", "after")."""

    def __init__(self, air: Air | None = None) -> None:
        self.now_ms = 1_700_000_000_000
        self.air = air or Air()
        self.conversations: dict[str, Conversation] = {}
        self.fault: Callable[[str], str] = lambda call: ""
        self.calls: list[str] = []
        self.read: list[tuple[int, int]] = []  # numbers of messages that were asked for

    def publish(self, c: Conversation, session: str) -> None:
        if c.fresh:
            first = c.top - len(c.fresh) + 1
            self.air.say(c.name, hints.Logged(session, c.epoch, first, tuple(c.fresh)))

    def stop(self, c: Conversation, session: str) -> None:
        assert c.turn is not None
        self.air.say(c.name, hints.Stopped(session, c.turn.m))
