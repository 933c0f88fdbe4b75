"""The wire, version 1: JSON text, one frame object or an array of them per WebSocket message.

Commands come in as frozen structs; frames go out as bytes. A *logged* frame is built here without
its opening brace and offset, because the log gives out the offset and splices it in; every other
frame is whole. Text positions count UTF-16 units, as browsers do.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal
from zlib import crc32

import msgspec
import orjson

from service.core.errors import (
    BadCommand,
    BadFrame,
    BadId,
    TextEmpty,
    TextTooLong,
    UnknownCommand,
)
from service.core.model import Attached, OpenTurn, Position, Source

VERSION = 1
SUBPROTOCOL = "parley.v1"
ID = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")


# -- what a customer's client sends ---------------------------------------------------------


class Command(msgspec.Struct, frozen=True, tag_field="type"):
    """What a client asks for. Unknown fields are ignored, so that newer clients may add some."""


class Hello(Command, frozen=True, tag="hello"):
    v: int
    token: str
    pos: tuple[str, int] | None = None
    locale: str | None = None
    page: str | None = None


class SendMessage(Command, frozen=True, tag="message.send"):
    id: str
    text: str
    page: str | None = None


class StopAnswer(Command, frozen=True, tag="answer.stop"):
    m: int


class RetryAnswer(Command, frozen=True, tag="answer.retry"):
    m: int


class RateAnswer(Command, frozen=True, tag="answer.rate"):
    m: int
    value: Literal[1, -1, 0]


class History(Command, frozen=True, tag="history"):
    before: int


class RequestHandoff(Command, frozen=True, tag="handoff.request"):
    reason: str | None = None


class EndConversation(Command, frozen=True, tag="conversation.end"):
    reason: str | None = None


class Identify(Command, frozen=True, tag="identify"):
    jwt: str


class Typing(Command, frozen=True, tag="typing"):
    on: bool


class Read(Command, frozen=True, tag="read"):
    offset: int


class Ping(Command, frozen=True, tag="ping"):
    n: int = 0


CustomerCommand = (
    Hello
    | SendMessage
    | StopAnswer
    | RetryAnswer
    | RateAnswer
    | History
    | RequestHandoff
    | EndConversation
    | Identify
    | Typing
    | Read
    | Ping
)
COMMANDS: dict[str, type[Command]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        *(Hello, SendMessage, StopAnswer, RetryAnswer, RateAnswer, History),
        *(RequestHandoff, EndConversation, Identify, Typing, Read, Ping),
    )
}


def parse(text: str, *, most_bytes: int) -> list[dict[str, Any]]:
    """The frame objects in one WebSocket message. Raises BadFrame for what is none.

    Half a surrogate pair, which JSON can escape but text cannot hold, becomes U+FFFD.
    """
    if len(text) > most_bytes or len(text.encode("utf-8", "surrogatepass")) > most_bytes:
        raise BadFrame(f"above {most_bytes} bytes")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _parse_leniently(text)
    frames = value if isinstance(value, list) else [value]
    if not frames or not all(isinstance(frame, dict) for frame in frames):
        raise BadFrame("wants one JSON object, or an array of them")
    return frames


def _parse_leniently(text: str) -> Any:
    try:
        value = json.loads(text)
        return orjson.loads(orjson.dumps(_mended(value)))
    except (ValueError, RecursionError) as error:
        raise BadFrame("not JSON") from error


def _mended(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_mended(item) for item in value]
        case dict():
            return {_mended(key): _mended(item) for key, item in value.items()}
    return value


def command(frame: dict[str, Any]) -> CustomerCommand:
    """The command that ``frame`` is. Raises UnknownCommand or BadCommand."""
    kind = COMMANDS.get(frame["type"]) if isinstance(frame.get("type"), str) else None
    if kind is None:
        raise UnknownCommand(f"no command {str(frame.get('type'))[:40]!r}")
    try:
        return msgspec.convert(frame, kind)  # type: ignore[return-value]
    except msgspec.ValidationError as error:
        raise BadCommand(str(error)) from error


def check_message(message: SendMessage, *, most_units: int) -> None:
    """Raises BadId, TextEmpty or TextTooLong."""
    if not ID.match(message.id):
        raise BadId("8 to 64 of A-Z a-z 0-9 _ -")
    if not message.text.strip():
        raise TextEmpty("nothing but white space")
    if units(message.text) > most_units:
        raise TextTooLong(f"above {most_units} UTF-16 units", limit=most_units)


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


def customer_message(message: SendMessage, language: str) -> bytes:
    """A customer's message as the log stores it, from after its time on."""
    return _tail(
        {"author": "customer", "id": message.id, "text": message.text, "language": language}
    )


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


def position(pos: tuple[str, int] | None) -> Position | None:
    return Position(*pos) if pos is not None and pos[1] >= 0 else None
