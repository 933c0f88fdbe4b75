"""What the model is told: the site, and as much of the conversation as the budget holds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson

from service.core.errors import StoreUnavailable
from service.core.model import OpenTurn, Site
from service.core.prompt import Prompt, Said, build
from service.core.tokens import estimate
from service.flows.ports import Reader

BATCH = 50  # messages read at a time, newest first, until the budget is full
PAUSE_S = 0.3  # between tries while Redis is away
DEFAULT_LANGUAGE = "en"

T = TypeVar("T")


class Context:
    """Builds prompts from the log. ``context_tokens`` and ``answer_tokens`` are the defaults."""

    def __init__(self, reader: Reader, *, context_tokens: int, answer_tokens: int) -> None:
        self._reader = reader
        self._context_tokens = context_tokens
        self._answer_tokens = answer_tokens

    def answer_tokens(self, site: Site) -> int:
        return site.limits.answer_tokens or self._answer_tokens

    async def prompt(
        self,
        site: Site,
        conversation: str,
        turn: OpenTurn,
        *,
        shrink: bool = False,
        continued: str = "",
    ) -> Prompt:
        """The request's messages for ``turn``; ``shrink`` halves the budget.

        What was said is read backwards from the newest message that the turn answers, and only as
        far as the budget reaches: the two-hundredth turn costs what the twentieth did. With
        ``continued``, the answer's beginning, the assistant has said that already, and the request
        asks it to go on.
        """
        budget = site.limits.context_tokens or self._context_tokens
        budget = budget // 2 if shrink else budget
        said: list[dict[str, Any]] = []
        dropped: set[int] = {turn.replaces} if turn.replaces is not None else set()
        before, tokens = turn.m, estimate(continued)
        while before > 1 and tokens <= budget:
            batch = await self._read(conversation, before)
            for message in reversed([orjson.loads(raw) for raw in batch]):
                if "replaces" in message:
                    dropped.add(message["replaces"])
                if message.get("reason") == "withdrawn":
                    dropped.update(message["answers"])  # what led to it is not asked again
                if message["m"] in dropped or not _fed_back(message):
                    continue
                said.append(message)
                tokens += estimate(message["text"])
            before = max(1, before - BATCH)
        said.reverse()
        begun = [Said("assistant", continued)] if continued else []
        return build(
            site,
            [Said(message["author"], message["text"]) for message in said] + begun,
            locale=_language(said),
            context_tokens=budget,
            answer_tokens=self.answer_tokens(site),
        )

    async def language(self, conversation: str, turn: OpenTurn) -> str:
        """The language of the newest message that ``turn`` answers."""
        newest = max(turn.answers, default=turn.m)
        batch = await _patiently(
            lambda: self._reader.messages(conversation, before=newest + 1, count=1)
        )
        return _language([orjson.loads(raw) for raw in batch])

    async def _read(self, conversation: str, before: int) -> list[bytes]:
        return await _patiently(
            lambda: self._reader.messages(conversation, before=before, count=BATCH)
        )


def _fed_back(message: dict[str, Any]) -> bool:
    """Whether the model hears of it: no notices, nothing withdrawn, nothing empty."""
    return (
        message["author"] != "notice"
        and message.get("reason") != "withdrawn"
        and bool(message["text"].strip())
    )


def _language(said: list[dict[str, Any]]) -> str:
    for message in reversed(said):
        if message["author"] == "customer" and message.get("language"):
            return str(message["language"])
    return DEFAULT_LANGUAGE


async def _patiently(read: Callable[[], Awaitable[T]]) -> T:
    """What ``read`` returns, tried again while Redis is away."""
    while True:
        try:
            return await read()
        except StoreUnavailable:
            await asyncio.sleep(PAUSE_S)
