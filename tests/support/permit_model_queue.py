"""The model's queues: start-time fair queueing over flows, first come first served inside one."""

from dataclasses import dataclass, field

HEAD = 2**50  # who queues again stands before all rounds, oldest first


@dataclass(slots=True)
class Waiting:
    session: str
    number: int
    priority: str
    flow: str
    tag: int  # the round in which its flow's turn comes
    arrival: int

    @property
    def rank(self) -> tuple[int, str]:
        return self.tag, f"{self.arrival:014d}:{self.session}:{self.number}"


@dataclass(slots=True)
class FairQueue:
    """Of one class. ``virtual``: the round of the last one served; ``finish``: each flow's next."""

    virtual: int = 0
    finish: dict[str, int] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)  # as they came

    def round_for(self, flow: str) -> int:
        return max(self.virtual, self.finish.get(flow, 0))

    def join(self, one: Waiting) -> None:
        self.waiting.append(one)
        if one.tag >= 0:
            self.finish[one.flow] = max(self.finish.get(one.flow, 0), one.tag + 1)

    def leave(self, one: Waiting) -> None:
        """Unserved: the flow gets the round back if it was its last."""
        self.waiting.remove(one)
        if one.tag >= 0 and self.finish.get(one.flow) == one.tag + 1:
            self.finish[one.flow] = one.tag

    def serve(self, one: Waiting) -> None:
        self.waiting.remove(one)
        self.virtual = max(self.virtual, one.tag)

    def in_order(self) -> list[Waiting]:
        return sorted(self.waiting, key=lambda one: one.rank)
