"""What customers saw of their answers: pieces, silences between them, and what went wrong."""

import asyncio
import time
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

LOOK_S = 0.05
LATE_S = 0.1  # of a look: less is a busy loop, more a program that stood still


@dataclass
class Seen:
    """What customers saw of their answers. ``silences``: the longest within each answer, s."""

    answers: int = 0
    silences: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # from an answer's first piece to its end
    texts: set[str] = field(default_factory=set)  # of all answers
    attempts: int = 0
    rewinds: int = 0
    moves: int = 0
    refused: int = 0  # connections, and handshakes
    cuts: list[int] = field(default_factory=list)  # close codes of sockets without a successor
    lost_s: float = 0.0  # by these customers' own program, whose event loop was late
    due: float = float("inf")  # when it next looks whether it is

    @property
    def longest_s(self) -> float:
        return max(self.silences, default=0.0)

    def __str__(self) -> str:
        late = sum(silence > 1.0 for silence in self.silences)
        return (
            f"{self.answers} answers of {fmean(self.seconds or [0.0]):.1f} s, {self.moves} moves: "
            f"{self.rewinds} rewinds, {late} silences over 1 s (longest {self.longest_s:.2f} s), "
            f"{self.attempts} further attempts, "
            f"{self.refused} refused connections, {len(self.cuts)} cut sockets {set(self.cuts)}; "
            f"{self.lost_s:.1f} s in which the customers' own program stood still are taken off"
        )

    async def look_at_itself(self) -> None:
        """Measure how late the customers' own event loop is, for ever: no silence of the server."""
        while True:
            self.due = time.monotonic() + LOOK_S
            await asyncio.sleep(LOOK_S)
            self.lost_s += _pause(time.monotonic() - self.due)

    def clock(self) -> float:
        """Seconds that the customers' own program has been awake."""
        now = time.monotonic()
        return now - self.lost_s - _pause(now - self.due)


def _pause(late_s: float) -> float:
    return late_s if late_s > LATE_S else 0.0


class Watch:
    """One customer's eye on the pieces of answers as they come, each once."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._first: dict[int, float] = {}  # message -> when its first piece came
        self._last: dict[int, float] = {}
        self._silence: dict[int, float] = {}

    def look(self, frame: dict[str, Any]) -> None:
        """A logged frame that is news. Before an answer's first piece no silence counts."""
        m, now = frame.get("m", 0), self._seen.clock()
        match frame["type"]:
            case "answer.delta" | "answer.done" if m in self._last:
                silence = max(self._silence.get(m, 0.0), now - self._last[m])
                self._silence[m], self._last[m] = silence, now
                if frame["type"] == "answer.done":
                    self._seen.silences.append(silence)
                    self._seen.seconds.append(now - self._first[m])
            case "answer.delta":
                self._first[m] = self._last[m] = now
            case "answer.rewound":
                self._seen.rewinds += 1
            case "answer.started" if frame["attempt"] > 1:
                self._seen.attempts += 1
