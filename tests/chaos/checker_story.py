"""Traces made by hand, for tests of the checker: a log that is always right, and what clients get.

A `Story` keeps one conversation's log as Parley would, and hands frames to sockets where the test
says so. What it wrote are plain records, which a test then spoils.
"""

import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from tests.chaos.checker import Report, check
from tests.chaos.checker_trace import Trace

Records = list[dict[str, Any]]


def report(records: Sequence[dict[str, Any]]) -> Report:
    return check(Trace(json.dumps(record) for record in records))


def frame(**fields: Any) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


class Story:
    """One conversation, of which every step takes three tenths of a second."""

    def __init__(self, conversation: str = "c1", *, records: Records | None = None) -> None:
        self.c = conversation
        self.records: Records = [] if records is None else records
        self.epoch, self.top, self.status = "e1", 0, "assisted"
        self.fence, self.step, self.owner, self.attempt = 0, 0, "", 1
        self.log: dict[int, str] = {}
        self.messages: dict[int, dict[str, Any]] = {}
        self.ids: dict[str, list[int]] = {}
        self.turn: dict[str, Any] | None = None
        self.numbers = 0

    @property
    def t(self) -> float:
        return 1000.0 + 0.3 * len(self.records)

    def tell(self, k: str, **fields: Any) -> None:
        self.records.append({"k": k, "t": self.t, **fields})

    # -- clients ----------------------------------------------------------------------------

    def client(self, name: str) -> None:
        self.tell("session", client=name, conversation=self.c, resumed=False)

    def open(self, client: str) -> int:
        number = 1 + len([record for record in self.records if record["k"] == "open"])
        self.tell("open", client=client, socket=number)
        return number

    def say(self, socket: int, *frames: str) -> None:
        text = frames[0] if len(frames) == 1 else f"[{','.join(frames)}]"
        self.tell("got", client="", socket=socket, text=text)

    def ask(self, socket: int, text: str) -> None:
        self.tell("sent", client="", socket=socket, text=text)

    def close(self, socket: int, code: int = 1006) -> None:
        self.tell("closed", client="", socket=socket, code=code)

    def show(self, offsets: Sequence[int], *sockets: int) -> None:
        """Hand these logged frames to sockets, as one array."""
        for socket in sockets:
            self.say(socket, *(self.log[o] for o in offsets))

    def hello(self, socket: int, *pos: Any) -> None:
        more = {"pos": list(pos)} if pos else {}
        self.ask(socket, frame(type="hello", v=1, token=f"token-of-{self.c}", **more))

    def welcome(self, socket: int, mode: str, *frames: str) -> None:
        self.say(socket, frame(
            type="welcome", v=1, conversation=self.c, pos=[self.epoch, self.top], mode=mode,
            status=self.status, heartbeat_ms=25000, limits={},
        ), *frames)  # fmt: skip

    def snapshot(self) -> str:
        shown = [self.messages[m] for m in sorted(self.messages)]
        if self.turn:
            shown.append({"r": 1, **self.turn, "author": "assistant", "done": False})
        return frame(
            type="snapshot", pos=[self.epoch, self.top], status=self.status, messages=shown,
            more=False,
        )  # fmt: skip

    def join(self, socket: int) -> None:
        """A hello without a place, and all that there is."""
        self.hello(socket)
        self.welcome(socket, "snapshot", self.snapshot())

    def resume(self, socket: int, offset: int) -> None:
        """A hello at a place, and what is missing there."""
        self.hello(socket, self.epoch, offset)
        self.welcome(socket, "replay", *(self.log[o] for o in range(offset + 1, self.top + 1)))

    def reset(self, socket: int, *, asked: tuple[str, int] | None = None) -> None:
        if asked:
            self.hello(socket, *asked)
        self.welcome(socket, "reset", self.snapshot())

    # -- the log ----------------------------------------------------------------------------

    def write(self, session: str, *bodies: dict[str, Any]) -> list[int]:
        """One atomic write of ``session``. Returns its offsets."""
        first = self.top + 1
        for body in bodies:
            self.top += 1
            self.log[self.top] = frame(o=self.top, **body)
            self.tell("entry", conversation=self.c, o=self.top, text=self.log[self.top])
        fields = {
            "top": str(self.top), "fence": str(self.fence), "step": str(self.step),
            "owner": self.owner, "turn": str(self.turn["m"]) if self.turn else "",
        }  # fmt: skip
        self.tell("meta", conversation=self.c, fields=fields)
        self.tell(
            "said", conversation=self.c, session=session, epoch=self.epoch, first=first,
            count=len(bodies),
        )  # fmt: skip
        return list(range(first, self.top + 1))

    def accept(self, session: str, id: str, text: str) -> list[int]:
        """A customer's message, and the turn that it opens unless one is open."""
        self.numbers += 1
        m = self.numbers
        self.ids[id] = [m, self.top + 1]
        message = {"m": m, "author": "customer", "id": id, "text": text, "time": 1}
        self.messages[m] = message | {"r": 0, "done": True}
        bodies: list[dict[str, Any]] = [{"type": "message.created", "message": message}]
        if self.turn is None:
            bodies.append(self._started(session, [m]))
        return self.write(session, *bodies)

    def _started(self, session: str, answers: list[int], **more: Any) -> dict[str, Any]:
        self.numbers += 1
        if self.owner != session:
            self.owner, self.fence, self.step = session, self.fence + 1, 0
        self.turn = {"m": self.numbers, "text": "", "r": 1, "answers": answers, **more}
        return {
            "type": "answer.started", "m": self.numbers, "attempt": 1, "r": 1, "answers": answers,
            **more,
        }  # fmt: skip

    def ack(self, socket: int, id: str, *, duplicate: bool = False) -> None:
        m, offset = self.ids[id]
        self.say(socket, frame(type="message.ack", id=id, m=m, offset=offset, duplicate=duplicate))

    def sends(self, socket: int, id: str, text: str) -> None:
        self.ask(socket, frame(type="message.send", id=id, text=text))

    def delta(self, text: str, *, session: str = "") -> list[int]:
        assert self.turn is not None
        at = _units(self.turn["text"])
        self.turn["text"] += text
        self.step += 1
        return self.write(
            session or self.owner,
            {"type": "answer.delta", "m": self.turn["m"], "r": self.turn["r"], "at": at,
             "text": text},
        )  # fmt: skip

    def rewind(self, at: int) -> list[int]:
        assert self.turn is not None
        self.turn["text"] = self.turn["text"][:at]
        self.turn["r"] += 1
        self.step += 1
        body = {"type": "answer.rewound", "m": self.turn["m"], "r": self.turn["r"], "at": at}
        return self.write(self.owner, body)

    def adopt(self, session: str) -> list[int]:
        assert self.turn is not None
        self.owner, self.fence, self.step = session, self.fence + 1, 0
        self.attempt += 1
        body = {
            "type": "answer.started", "m": self.turn["m"], "attempt": self.attempt,
            "r": self.turn["r"], "answers": self.turn["answers"],
        }  # fmt: skip
        return self.write(session, body)

    def finish(self, reason: str = "stop", *, then: Sequence[int] = ()) -> list[int]:
        """End the open answer; ``then`` is answered by the next turn, in the same write."""
        turn = self.turn
        assert turn is not None
        text = "" if reason == "withdrawn" else turn["text"]
        self.messages[turn["m"]] = turn | {
            "author": "assistant", "text": text, "done": True, "reason": reason,
        }  # fmt: skip
        body = {
            "type": "answer.done", "m": turn["m"], "reason": reason, "length": _units(text),
            "crc32": zlib.crc32(text.encode()),
        }  # fmt: skip
        self.turn, self.attempt = None, 1
        self.step += 1
        bodies = [body]
        if then:
            bodies.append(self._started(self.owner, list(then)))
        return self.write(self.owner, *bodies)

    def retry(self, session: str, m: int) -> list[int]:
        answers = self.messages[m]["answers"]
        return self.write(session, self._started(session, answers, replaces=m))

    # -- the end ----------------------------------------------------------------------------

    def state(self, *, final: bool) -> None:
        kept = {str(m): json.dumps(message) for m, message in self.messages.items()}
        self.tell(
            "state", conversation=self.c, final=final,
            meta={
                "epoch": self.epoch, "top": str(self.top), "status": self.status, "queued": "",
                "turn": str(self.turn["m"]) if self.turn else "", "fence": str(self.fence),
            },
            log=[[o, text] for o, text in self.log.items()], messages=kept,
            ids=dict(self.ids), open_text=self.turn["text"] if self.turn else None, lease=None,
            endless=[],
        )  # fmt: skip

    def end(self, *others: "Story") -> Records:
        """Everything came to rest."""
        stories = [self, *others]
        for story in stories:
            story.state(final=True)
        tokens = {hashlib.sha256(f"token-of-{s.c}".encode()).hexdigest(): s.c for s in stories}
        self.tell("redis", final=True, leases={}, tokens=tokens, endless=[], channels={})
        self.tell("end")
        return self.records


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


# -- spoiling -----------------------------------------------------------------------------------


def find(records: Records, k: str, *words: str, **fields: Any) -> dict[str, Any]:
    """The first record of kind ``k`` with these fields whose text has all ``words``."""
    for record in records:
        text = str(record.get("text", ""))
        named = all(record.get(name) == value for name, value in fields.items())
        if record["k"] == k and named and all(word in text for word in words):
            return record
    raise AssertionError(f"no {k} with {words} {fields}")


def swap(old: str, new: str, k: str, *words: str, **fields: Any) -> Callable[[Records], None]:
    """Spoil by another text in the first record that is found."""

    def spoil(records: Records) -> None:
        record = find(records, k, *words, **fields)
        assert old in record["text"], record["text"]
        record["text"] = record["text"].replace(old, new, 1)

    return spoil


def lose(k: str, *words: str, **fields: Any) -> Callable[[Records], None]:
    """Spoil by a record that never was."""

    def spoil(records: Records) -> None:
        records.remove(find(records, k, *words, **fields))

    return spoil


def change(k: str, *words: str, with_: dict[str, Any], **fields: Any) -> Callable[[Records], None]:
    """Spoil by other fields in the first record that is found."""

    def spoil(records: Records) -> None:
        find(records, k, *words, **fields).update(with_)

    return spoil
