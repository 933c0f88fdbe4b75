"""What happened to a worker's permits, for metrics and for `parley permits`."""

from collections import deque
from dataclasses import dataclass

from service.core.queueing import QueueClass
from service.store.connection import Argument
from service.store.permit_steps import waited

WAITS_KEPT = 256  # between two heartbeats; the newest of more


@dataclass(slots=True)
class Counts:
    """Numbers that only grow."""

    grants: int = 0
    steps: int = 0
    registrations: int = 0
    epochs: int = 0
    refusals: int = 0
    lost_pushes: int = 0  # grants that had to be said again
    unused: int = 0  # grants for somebody who had gone
    unknown: int = 0  # releases of what Redis did not know as ours: said again after a lost reply


class Waits:
    """How long the newest grants were waited for (ms), until a heartbeat tells them."""

    def __init__(self) -> None:
        self._of: dict[QueueClass, deque[int]] = {
            "live": deque(maxlen=WAITS_KEPT),
            "background": deque(maxlen=WAITS_KEPT),
        }

    def add(self, priority: QueueClass, wait_ms: int) -> None:
        self._of[priority].append(wait_ms)

    def compose(self) -> list[Argument]:
        """The words for those since the last call."""
        words: list[Argument] = []
        for priority, waits in self._of.items():
            if waits:
                words += waited(priority, waits)
                waits.clear()
        return words
