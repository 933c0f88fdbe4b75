"""The wire, version 1: JSON text, one frame object or an array of them per WebSocket message.

Here are the frames that go out, as bytes; `commands.py` has those that come in. A *logged* frame is
built without its opening brace and offset, because the log gives out the offset and splices it in;
every other frame is whole. Text positions count UTF-16 units, as browsers do.
"""

from collections.abc import Sequence
from typing import Any, Literal
from zlib import crc32

import orjson

from service.core.model import Attached, OpenTurn, Source

VERSION = 1
SUBPROTOCOL = "parley.v1"


# -- what text measures ---------------------------------------------------------------------


def units(text: str) -> int:
    """Length in UTF-16 units, the browser's measure."""
    return len(text) if text.isascii() else len(text) + sum(c > "\uffff" for c in text)


def checksum(text: str, before: int = 0) -> int:
    """CRC-32 of the UTF-8 text, unsigned, continued from ``before``."""
    return crc32(text.encode(), before)


# -- logged frames, without their opening brace and offset -----------------------------------


def _tail(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value)[1:]


def customer_message(id: str, text: str, language: str) -> bytes:
    """A customer's message as the log stores it, from after its time on."""
    return _tail({"author": "customer", "id": id, "text": text, "language": language})


def notice(code: str, text: str, language: str) -> bytes:
    """The server's own words, as the log stores them."""
    return _tail({"author": "notice", "code": code, "text": text, "language": language})


def delta(turn: OpenTurn, at: int, text: str) -> bytes:
    return b'"type":"answer.delta","m":%d,"r":%d,"at":%d,"text":%b}' % (
        turn.m, turn.revision, at, orjson.dumps(text),
    )  # fmt: skip


def sources(found: Sequence[Source]) -> bytes:
    return orjson.dumps([{"title": s.title, "link": s.link} for s in found]) if found else b""


# -- frames that are not logged ---------------------------------------------------------------


def welcome(
    conversation: str, attached: Attached, *, heartbeat_ms: int, limits: dict[str, int]
) -> bytes:
    return orjson.dumps(
        {
            "type": "welcome",
            "v": VERSION,
            "conversation": conversation,
            "pos": [attached.epoch, attached.top],
            "mode": attached.mode,
            "status": attached.status,
            "heartbeat_ms": heartbeat_ms,
            "limits": limits,
        }
    )


def snapshot(attached: Attached) -> bytes:
    """The authoritative newest messages, the open answer among them with ``done`` false."""
    messages = list(attached.messages)
    turn = attached.turn
    if turn is not None:
        messages.append(_open_answer(turn, attached.text))
        messages.sort(key=_number)
    oldest = _number(messages[0]) if messages else 1
    return b'{"type":"snapshot","pos":%b,"status":"%b","messages":[%b],"more":%b}' % (
        orjson.dumps([attached.epoch, attached.top]),
        attached.status.encode(),
        b",".join(messages),
        b"true" if oldest > 1 else b"false",
    )


def _open_answer(turn: OpenTurn, text: str) -> bytes:
    value: dict[str, Any] = {
        "m": turn.m, "author": "assistant", "text": text, "r": turn.revision, "done": False,
        "answers": turn.answers,
    }  # fmt: skip
    if turn.replaces is not None:
        value["replaces"] = turn.replaces
    return orjson.dumps(value)


def _number(message: bytes) -> int:
    return int(message[5 : message.index(b",")])  # every stored message begins with {"m":


def history(messages: Sequence[bytes]) -> bytes:
    """Older messages, ascending; ``more`` where some are older still."""
    more = bool(messages) and _number(messages[0]) > 1
    return b'{"type":"history","messages":[%b],"more":%b}' % (
        b",".join(messages),
        b"true" if more else b"false",
    )


def ack(id: str, m: int, offset: int, *, duplicate: bool) -> bytes:
    return orjson.dumps(
        {"type": "message.ack", "id": id, "m": m, "offset": offset, "duplicate": duplicate}
    )


def queue_updated(position: int, eta_ms: int) -> bytes:
    return b'{"type":"queue.updated","position":%d,"eta_ms":%d,"reason":"model"}' % (
        position,
        eta_ms,
    )


AnswerState = Literal["queued", "thinking", "searching", "tool", "translating"]


def answer_status(m: int, state: AnswerState) -> bytes:
    return b'{"type":"answer.status","m":%d,"state":"%b"}' % (m, state.encode())


def heartbeat(n: int) -> bytes:
    return b'{"type":"heartbeat","n":%d}' % n


def pong(n: int) -> bytes:
    return orjson.dumps({"type": "pong", "n": n})


def goaway(after_ms: int, reason: str) -> bytes:
    return orjson.dumps({"type": "goaway", "after_ms": after_ms, "reason": reason})


def error(
    code: str, message: str, *, fatal: bool, retry_ms: int | None = None, ref: str | None = None
) -> bytes:
    value: dict[str, Any] = {"type": "error", "code": code, "message": message, "fatal": fatal}
    if retry_ms is not None:
        value["retry_ms"] = retry_ms
    if ref is not None:
        value["ref"] = ref
    return orjson.dumps(value)


def together(frames: Sequence[bytes]) -> bytes:
    """One WebSocket message for ``frames``."""
    return frames[0] if len(frames) == 1 else b"[" + b",".join(frames) + b"]"
