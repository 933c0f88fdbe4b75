"""What the invariants are checked on: a trace, and what several of them read out of it."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tests.chaos.checker_client import Shown, View
from tests.chaos.checker_log import Fold, Told, folds
from tests.chaos.checker_records import Entry, LogTrace, Said, SocketTrace
from tests.chaos.checker_trace import Trace

Place = tuple[str, int]  # epoch and offset
SHORT = 160  # characters of a text that a report shows


@dataclass(frozen=True)
class Bounds:
    """How long things may take, in seconds."""

    answer_s: float = 60.0  # from a message in the log to the end of its answer
    settle_s: float = 5.0  # for what an open socket is due at once: a welcome, an ack
    clock_s: float = 0.02  # between a client's clock and that of Redis, on one host
    growth: int = 3  # of a worker's counts over a run; a file or two are opened on first use


@dataclass(frozen=True)
class Violation:
    """Who broke a promise, where, and both sides' bytes."""

    why: str
    line: int = 0
    conversation: str = ""
    client: str = ""
    epoch: str = ""
    offset: int | None = None
    seen: str = ""
    logged: str = ""
    invariant: str = ""

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line else []
        where += [f"client {self.client}"] if self.client else []
        where += [f"conversation {self.conversation}"] if self.conversation else []
        where += [f"offset {self.epoch}/{self.offset}"] if self.offset is not None else []
        sides = [f"\n    {name}: {text}" for name, text in (
            ("seen  ", self.seen), ("logged", self.logged),
        ) if text]  # fmt: skip
        return f"{self.invariant} {self.why} ({', '.join(where)}){''.join(sides)}"


def in_log(log: LogTrace, entry: Entry, why: str, *, epoch: str = "", other: str = "") -> Violation:
    """Of a log's own entry; ``other`` is what it contradicts."""
    return Violation(
        why, entry.line, log.conversation, "", epoch, entry.o, other, short(entry.text)
    )


@dataclass(frozen=True)
class Step:
    """A frame that a socket got. ``before``: the place of what the server had sent it until then.

    Of a welcome, ``asked`` is the hello that it answers, ``place`` what it wanted: None twice where
    nobody had asked, or where the hello had no position.
    """

    said: Said
    before: Place | None
    awaiting: bool = False  # a snapshot was promised
    asked: Said | None = None
    place: Place | None = None


def right(mode: str, asked: Place | None, end: Place) -> bool:
    """Whether ``mode`` is an answer to one who is at ``asked`` of a log that ends at ``end``."""
    if asked is None:
        return mode == "snapshot"
    if asked[0] != end[0] or asked[1] > end[1]:
        return mode == "reset"
    return mode in ("replay", "snapshot")


def position(value: object) -> Place | None:
    """A frame's `pos`."""
    if isinstance(value, list | tuple) and len(value) == 2:
        epoch, offset = value
        if isinstance(epoch, str) and isinstance(offset, int):
            return epoch, offset
    return None


@dataclass
class Walk:
    """What the server sent on one socket, and the hellos that it never answered."""

    socket: SocketTrace
    steps: list[Step] = field(default_factory=list)
    hellos: deque[Said] = field(default_factory=deque)
    _at: Place | None = None
    _awaiting: bool = False

    @classmethod
    def of(cls, socket: SocketTrace) -> "Walk":
        walk = cls(socket)
        for said in socket.frames:
            if not said.sent:
                walk._got(said)
            elif said.kind == "hello":
                walk.hellos.append(said)
        return walk

    def _got(self, said: Said) -> None:
        if said.kind == "welcome":
            self._welcomed(said)
            return
        self.steps.append(Step(said, self._at, self._awaiting))
        if said.kind == "snapshot":
            self._at, self._awaiting = position(said.frame.get("pos")), False
        elif "o" in said.frame and self._at is not None:
            self._at = (self._at[0], max(self._at[1], int(said.frame["o"])))

    def _welcomed(self, said: Said) -> None:
        mode, end = said.frame.get("mode", ""), position(said.frame.get("pos"))
        asked = self.hellos[0] if self.hellos else None
        place = position(asked.frame.get("pos")) if asked else self._at
        if end and not right(mode, place, end) and self._at and right(mode, self._at, end):
            asked, place = None, self._at  # not the answer yet: the server attached by itself
        if asked:
            self.hellos.popleft()
        self.steps.append(Step(said, self._at, self._awaiting, asked, place))
        self._awaiting = mode != "replay"
        if mode == "replay":
            self._at = place


@dataclass(frozen=True)
class Look:
    """What a client showed at a place, before something else took it over or its trace ended."""

    client: str
    line: int
    place: Place
    messages: Mapping[int, Shown]


@dataclass
class Run:
    """One client, by the client rules, over all its sockets."""

    client: str
    conversation: str
    looks: list[Look] = field(default_factory=list)
    wrong: list[tuple[Said, str]] = field(default_factory=list)  # its text cannot be trusted
    ahead: list[tuple[Said, Place | None]] = field(default_factory=list)  # hellos beyond its place

    @classmethod
    def of(cls, client: str, sockets: list[SocketTrace]) -> "Run":
        run, view = cls(client, sockets[0].conversation), View()
        asked: Counter[int] = Counter()
        frames = sorted(
            ((said.line, number, said) for number, s in enumerate(sockets) for said in s.frames),
            key=lambda item: item[:2],
        )
        line = 0
        for line, number, said in frames:
            if said.sent:
                if said.kind == "hello":
                    asked[number] += 1
                    run._hello(view, said)
                continue
            if said.kind == "welcome":
                asked[number] = max(asked[number] - 1, 0)
            if asked[number] and "o" in said.frame:
                continue  # until the welcome, logged frames are ignored
            if said.kind == "snapshot":
                run._look(view, line)
            if view.apply(said.frame) == "anew":
                run.wrong.append((said, view.why))
        run._look(view, line)
        return run

    def _hello(self, view: View, said: Said) -> None:
        place = position(said.frame.get("pos"))
        if place and (not view.pos or (place[0] == view.pos[0] and place[1] > view.pos[1])):
            self.ahead.append((said, view.pos))

    def _look(self, view: View, line: int) -> None:
        if view.pos is not None and not (view.awaiting and view.why):
            self.looks.append(Look(self.client, line, view.pos, dict(view.messages)))


class Case:
    """A trace and what is read out of it once. ``seen`` counts what each invariant looked at."""

    def __init__(self, trace: Trace, bounds: Bounds | None = None) -> None:
        self.trace = trace
        self.bounds = bounds or Bounds()
        self.seen: Counter[str] = Counter()

    @cached_property
    def walks(self) -> list[Walk]:
        return [Walk.of(socket) for socket in self.trace.sockets.values()]

    @cached_property
    def runs(self) -> list[Run]:
        return [Run.of(client, sockets) for client, sockets in self.trace.clients().items()]

    @cached_property
    def folds(self) -> dict[str, dict[str, Fold]]:
        """By conversation and epoch, with what was told at every place that somebody asks about."""
        asked: dict[str, dict[str, set[int]]] = {}
        for run in self.runs:
            for look in run.looks:
                by_epoch = asked.setdefault(run.conversation, {})
                by_epoch.setdefault(look.place[0], set()).add(look.place[1])
        for _, step, place in self.snapshots():
            by_epoch = asked.setdefault(step.socket.conversation, {})
            by_epoch.setdefault(place[0], set()).add(place[1])
        return {name: folds(log, asked.get(name)) for name, log in self.trace.logs.items()}

    def snapshots(self) -> Iterator[tuple[Said, Walk, Place]]:
        for walk in self.walks:
            for step in walk.steps:
                place = position(step.said.frame.get("pos"))
                if step.said.kind == "snapshot" and place:
                    yield step.said, walk, place

    def told(self, conversation: str, place: Place) -> Told | None:
        """What the log told at ``place``; None where nobody saw the log there."""
        found = self.folds.get(conversation, {}).get(place[0])
        return found.at.get(place[1]) if found else None

    def ends(self) -> float:
        """When the trace ended."""
        return self.trace.last if self.trace.ended is None else self.trace.ended


def differences(
    shown: Mapping[int, Shown], told: Told, *, floor: int | None = None
) -> Iterator[tuple[int, str, str, str]]:
    """Where ``shown`` is not what the log told: number, what, the one text, the other. Messages
    below ``floor`` need not be shown.
    """
    lowest = floor if floor is not None else min(shown, default=0)
    for m in sorted(told.sure):
        wanted, got = told.messages[m], shown.get(m)
        if got is None:
            if m >= lowest:
                yield m, f"message {m} is missing", "", short(wanted.text)
            continue
        for what in ("text", "author", "done", "reason", "r", "answers", "replaces", "id"):
            one, other = getattr(got, what), getattr(wanted, what)
            if one != other:
                yield m, f"{what} of message {m} differs", *apart(str(one), str(other))
    if told.whole:
        for m in sorted(set(shown) - set(told.messages)):
            yield m, f"message {m} is not in the log", short(shown[m].text), ""


def short(text: str) -> str:
    return text if len(text) <= SHORT else text[:SHORT] + f"… ({len(text)} characters)"


def apart(one: str, other: str) -> tuple[str, str]:
    """Both texts from a little before the place where they part."""
    at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    at = min(len(one), len(other)) if at is None else at
    start = max(0, at - 40)
    lead = f"…[{start}]" if start else ""
    return lead + short(one[start:]), lead + short(other[start:])
