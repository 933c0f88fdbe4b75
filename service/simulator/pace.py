"""When each model token is due: deadlines, so that a late one does not delay those after it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

_FACTORS = 1024  # precomputed spreads; a request begins at its own place among them


@lru_cache(maxsize=8)
def _spreads(seed: int, jitter: float) -> tuple[float, ...]:
    source = random.Random(seed)
    return tuple(source.uniform(1 - jitter, 1 + jitter) for _ in range(_FACTORS))


@dataclass(frozen=True, slots=True)
class Pace:
    """The speed of one answer; a rate of 0 means that nothing is waited for."""

    first_token_ms: float
    tokens_per_second: float
    jitter: float
    seed: int

    @property
    def immediate(self) -> bool:
        """Whether every token is due at once."""
        return self.first_token_ms <= 0 and self.tokens_per_second <= 0

    def deadlines(self, start: float, tokens: int, number: int) -> list[float]:
        """For each of `tokens` when it is due, in `start`'s clock, for request `number`."""
        if self.immediate:
            return [start] * tokens
        spreads = _spreads(self.seed, self.jitter)
        first = start + self.first_token_ms / 1000 * spreads[number * 131 % _FACTORS]
        if self.tokens_per_second <= 0:
            return [first] * tokens
        gap = 1 / self.tokens_per_second
        place = number * 197 % _FACTORS
        gaps = (gap * spreads[(place + i) % _FACTORS] for i in range(1, tokens))
        return list(accumulate(gaps, initial=first))[:tokens]
