"""Ids as the endpoint writes them: 14 digits of Beijing time, then 16 hexadecimal digits."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

BEIJING_S = 8 * 3600


@dataclass(frozen=True, slots=True)
class AnswerId:
    """The identity of one answer: its id and its second of creation."""

    id: str
    created: int

    def tool_call(self, index: int) -> str:
        """The id of the answer's tool call number `index`."""
        return f"call_{self.id}_{index}"


def answer_id(seed: int, number: int, now: float) -> AnswerId:
    """The identity of the simulator's request `number`; all but the time follows from the seed."""
    created = int(now)
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(created + BEIJING_S))
    digits = hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=8).hexdigest()
    return AnswerId(stamp + digits, created)
