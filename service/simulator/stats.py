"""What happened: outcomes by name and the newest requests as they came, for tests to look at."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

KEPT_BYTES = 32 * 1024 * 1024  # of request bodies in all; older ones give way first
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(slots=True)
class Record:
    """One request as it was received."""

    number: int
    time_ms: int
    path: str
    headers: dict[str, str]
    body: bytes
    account: str = ""
    model: str = ""
    prompt_hash: str = ""
    status: int = 0
    outcome: str = "open"
    model_tokens: int = 0

    def snapshot(self) -> dict[str, Any]:
        """The request as JSON values; a body that is not JSON appears as text."""
        try:
            body = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            body = self.body.decode("utf-8", "replace")
        shown = ("number", "time_ms", "path", "headers", "account", "model", "prompt_hash")
        values = {name: getattr(self, name) for name in shown}
        return {
            **values,
            "body": body,
            "status": self.status,
            "outcome": self.outcome,
            "model_tokens": self.model_tokens,
        }


def visible_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The headers by lower-case name, without credentials."""
    pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
    return {name: value for name, value in pairs if name not in _SECRET_HEADERS}


class Stats:
    """Counts since the last reset, and the newest requests."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.requests = 0
        self.model_tokens = 0
        self._outcomes: Counter[str] = Counter()
        self._records: deque[Record] = deque()
        self._bytes = 0

    def record(self, record: Record) -> None:
        """Count a request and keep it, with the newest `keep`."""
        self.requests += 1
        self._records.append(record)
        self._bytes += len(record.body)
        while len(self._records) > self.keep or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._records.popleft().body)
            if not self._records:
                break

    def outcome(self, name: str) -> None:
        """Count how one request ended."""
        self._outcomes[name] += 1

    def records(self, last: int | None = None) -> list[dict[str, Any]]:
        """The newest requests, oldest first."""
        skipped = 0 if last is None else max(0, len(self._records) - last)
        return [record.snapshot() for record in islice(self._records, skipped, None)]

    def reset(self) -> None:
        """Begin anew."""
        self.requests = self.model_tokens = self._bytes = 0
        self._outcomes.clear()
        self._records.clear()

    def snapshot(self) -> dict[str, Any]:
        """The counts as JSON values."""
        return {
            "requests": self.requests,
            "model_tokens": self.model_tokens,
            "outcomes": dict(sorted(self._outcomes.items())),
        }
