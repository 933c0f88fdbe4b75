"""The concurrency tier: how many requests of one account a model works on at the same time.

Counted per (account, model), from acceptance to the end of work, by the simulator itself, so that
a test never has to believe the limiter that it tests. Nothing here awaits: enter and leave are
atomic.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

SERIES_SECONDS = 900  # of the per-second series that are kept


@dataclass(slots=True)
class Line:
    """One (account, model) and its counts since the last reset."""

    account: str
    model: str
    concurrency: int = 0
    max_concurrency: int = 0
    starts: int = 0
    over_tier_starts: int = 0

    def snapshot(self) -> dict[str, Any]:
        """The counts as JSON values."""
        return {
            "account": self.account,
            "model": self.model,
            "concurrency": self.concurrency,
            "max_concurrency": self.max_concurrency,
            "starts": self.starts,
            "over_tier_starts": self.over_tier_starts,
        }


@dataclass(slots=True)
class Second:
    """What happened within one second of the wall clock."""

    second: int
    starts: int = 0
    ends: int = 0
    refused: int = 0
    over_tier_starts: int = 0
    model_tokens: int = 0
    max_concurrency: int = 0
    concurrency: int = 0  # at its end

    def snapshot(self) -> dict[str, int]:
        """The counts as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Tier:
    """The count. Times are whole seconds since 1970, given by the caller."""

    concurrency: int = 0
    max_concurrency: int = 0
    starts: int = 0
    over_tier_starts: int = 0
    _lines: dict[tuple[str, str], Line] = field(default_factory=dict)
    _series: deque[Second] = field(default_factory=lambda: deque(maxlen=SERIES_SECONDS))

    def full(self, account: str, model: str, limit: int) -> bool:
        """Whether a request that begins now would be over the tier."""
        line = self._lines.get((account, model))
        return line is not None and line.concurrency >= limit

    def enter(
        self, account: str, model: str, *, limit: int, enforce: bool, now: int
    ) -> Line | None:
        """Begin a request: its line, which `leave` wants back, or None if the tier refuses it.

        A request that arrives at a full tier is an over-tier start, refused or not.
        """
        line = self._lines.get((account, model))
        if line is None:
            line = self._lines[account, model] = Line(account, model)
        second = self.second(now)
        if line.concurrency >= limit:
            self.over_tier_starts += 1
            line.over_tier_starts += 1
            second.over_tier_starts += 1
            if enforce:
                second.refused += 1
                return None
        self.starts += 1
        line.starts += 1
        second.starts += 1
        line.concurrency += 1
        line.max_concurrency = max(line.max_concurrency, line.concurrency)
        self.concurrency += 1
        self.max_concurrency = max(self.max_concurrency, self.concurrency)
        second.concurrency = self.concurrency
        second.max_concurrency = max(second.max_concurrency, self.concurrency)
        return line

    def leave(self, line: Line, *, now: int) -> None:
        """The end of work of one request of `line`."""
        if line.concurrency <= 0:
            raise RuntimeError(f"nothing is in flight for {line.account} on {line.model}")
        second = self.second(now)  # first: the seconds before this one had the old count
        line.concurrency -= 1
        self.concurrency -= 1
        second.ends += 1
        second.concurrency = self.concurrency

    def second(self, now: int) -> Second:
        """The entry of the series for `now`; seconds in which nothing happened are filled in."""
        series = self._series
        if not series:
            series.append(self._quiet(now))
        gap = now - series[-1].second
        if gap > SERIES_SECONDS:
            series.clear()
            series.append(self._quiet(now))
        else:
            for later in range(series[-1].second + 1, now + 1):
                series.append(self._quiet(later))
        return series[-1]

    def _quiet(self, second: int) -> Second:
        return Second(second, concurrency=self.concurrency, max_concurrency=self.concurrency)

    def reset(self) -> None:
        """Begin all counts anew; what is in flight stays counted."""
        self.max_concurrency = self.concurrency
        self.starts = self.over_tier_starts = 0
        self._series.clear()
        self._lines = {key: line for key, line in self._lines.items() if line.concurrency}
        for line in self._lines.values():
            line.max_concurrency = line.concurrency
            line.starts = line.over_tier_starts = 0

    def snapshot(self, *, now: int) -> dict[str, Any]:
        """All counts as JSON values, the series up to `now`."""
        self.second(now)
        return {
            "concurrency": self.concurrency,
            "max_concurrency": self.max_concurrency,
            "starts": self.starts,
            "over_tier_starts": self.over_tier_starts,
            "per_model": [line.snapshot() for line in self._lines.values()],
            "seconds": [second.snapshot() for second in self._series],
        }
