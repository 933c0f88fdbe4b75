"""The values that everybody passes around: frozen, typed, without behaviour of their own."""

from typing import Any, Literal

import msgspec

Author = Literal["customer", "assistant", "agent", "notice"]
Status = Literal["assisted", "waiting", "assigned", "resolved"]


class Passage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A retrievable piece of what a shop says about itself, in the languages it says it in."""

    title: dict[str, str]
    text: dict[str, str]


class SiteLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A site's own limits; None means the setting of the same name."""

    message_units: int | None = None
    messages_per_minute: int | None = None
    answer_tokens: int | None = None
    context_tokens: int | None = None
    retention_days: int | None = None


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One shop that embeds the widget, as `sites.toml` declares it."""

    key: str
    name: str
    origins: tuple[str, ...]
    languages: tuple[str, ...] = ("en",)
    persona: str = ""
    tone: str = ""
    hours: str = ""
    contact: str = ""
    facts: tuple[Passage, ...] = ()
    limits: SiteLimits = SiteLimits()


class Usage(msgspec.Struct, frozen=True):
    """Model tokens of one request, as the provider counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to the model. ``messages`` as the provider's API wants them."""

    messages: list[dict[str, Any]]
    max_tokens: int
    user_id: str
    request_id: str
    temperature: float | None = None
    tools: list[dict[str, Any]] | None = None
    json_object: bool = False


class TextDelta(msgspec.Struct, frozen=True):
    """A piece of the answer's text: whole code points, never half a surrogate pair."""

    text: str


class ToolCall(msgspec.Struct, frozen=True):
    id: str
    name: str
    arguments: str


class ToolCalls(msgspec.Struct, frozen=True):
    calls: tuple[ToolCall, ...]


class Source(msgspec.Struct, frozen=True):
    """Where a web search found something."""

    title: str
    link: str


class Finished(msgspec.Struct, frozen=True):
    """The stream's orderly end. ``reason`` is the provider's own word, kept open."""

    reason: str
    usage: Usage
    sources: tuple[Source, ...] = ()


ModelEvent = TextDelta | ToolCalls | Finished


# -- a conversation, as the store tells of it ----------------------------------------------------


class Position(msgspec.Struct, frozen=True):
    """Where a client is in a conversation's log."""

    epoch: str
    offset: int


class OpenTurn(msgspec.Struct, frozen=True):
    """The open answer and what its owner must show to write. ``m`` is the answer's number."""

    m: int
    fence: int
    step: int
    attempt: int
    revision: int
    answers: tuple[int, ...]
    replaces: int | None
    cancelled: bool
    spent: int = 0  # former owners that had asked the model and are gone
    since_ms: int = 0  # when the turn began, by the server's clock; 0: not known


class Written(msgspec.Struct, frozen=True):
    """What a write left behind: the newest offset and the frames after the one that was known.

    ``frames`` ends at ``top``; it may begin later than asked where the log was trimmed.
    """

    top: int
    frames: tuple[bytes, ...]
    turn: OpenTurn | None = None
    cancelled: bool = False


class Accepted(msgspec.Struct, frozen=True):
    """A message's place in the log, and the open turn where it is this worker's to run."""

    m: int
    offset: int
    duplicate: bool
    written: Written


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """What a socket shows first. ``frames`` in a replay, ``messages`` (JSON) in a snapshot."""

    mode: Literal["replay", "snapshot", "reset"]
    epoch: str
    top: int
    status: Status
    generation: int
    newest: int
    site: str
    turn: OpenTurn | None
    text: str
    frames: tuple[bytes, ...]
    messages: tuple[bytes, ...]


class Adopted(msgspec.Struct, frozen=True):
    """A turn taken over from an owner that is gone, with the text it had shown."""

    turn: OpenTurn
    text: str
    site: str
    top: int
    epoch: str
