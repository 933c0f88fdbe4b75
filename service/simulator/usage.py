"""What a request costs in model tokens, and how much of its prompt was seen before.

The provider caches repeated prefixes of prompts without being asked. Here the unit is a message:
the cached part is the longest run of leading messages that an earlier request of the same account
and model began with, too.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any

import orjson

from service.simulator.validation import ChatRequest

REMEMBERED_PREFIXES = 20_000  # the oldest are forgotten first


class PrefixCache:
    """The prefixes of earlier prompts."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def cached_tokens(self, account: str, request: ChatRequest) -> int:
        """Model tokens of the known prefix; remembers this request's prefixes."""
        digest = hashlib.blake2b(f"{account}/{request.model}".encode(), digest_size=16).digest()
        cached = total = 0
        known = True
        for message, tokens in zip(request.messages, request.prompt_tokens, strict=False):
            total += tokens
            content = digest + orjson.dumps(message)
            digest = hashlib.blake2b(content, digest_size=16).digest()
            known = known and digest in self._seen
            if known:
                cached = total
                self._seen.move_to_end(digest)
            else:
                self._seen[digest] = None
        while len(self._seen) > REMEMBERED_PREFIXES:
            self._seen.popitem(last=False)
        return cached

    def clear(self) -> None:
        """Forget everything."""
        self._seen.clear()


def usage(prompt_tokens: int, completion_tokens: int, cached_tokens: int) -> dict[str, Any]:
    """The `usage` object of an answer."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    }
