"""What a customer's client sends: commands, as frozen structs out of JSON frames.

Unknown fields are ignored, so that newer clients may add some; an unknown command is told so.
"""

import json
import re
from typing import Any, Literal

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
from service.core.model import Position
from service.core.wire import units

ID = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")


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
    except (ValueError, TypeError, RecursionError) as error:  # TypeError: too deep, too large
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


def position(pos: tuple[str, int] | None) -> Position | None:
    return Position(*pos) if pos is not None and pos[1] >= 0 else None
