"""What a trace is made of, once it is read: sockets and their frames, logs and their entries."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_decoder = json.JSONDecoder()

# Frames that only the owner of a turn may write.
OWNERS = ("answer.delta", "answer.rewound", "answer.done")


@dataclass(frozen=True)
class Said:
    """One frame on a socket. ``text``: its own bytes, without the array that it came in."""

    line: int
    t: float
    sent: bool
    text: str
    frame: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.frame.get("type", ""))


@dataclass
class SocketTrace:
    """What passed over one socket, in order."""

    number: int
    client: str
    line: int
    opened: float
    conversation: str
    frames: list[Said] = field(default_factory=list)
    closed: float | None = None
    code: int | None = None


@dataclass
class Entry:
    """A frame in the log; ``session`` wrote it, where that is known, under ``fence``."""

    o: int
    text: str
    line: int
    t: float
    swept: bool = False  # found later, so that ``t`` is no more than an upper bound
    session: str = ""
    fence: int = 0

    def __post_init__(self) -> None:
        found = list(frames_of(self.text))
        self.frame: Mapping[str, Any] = found[0][0] if len(found) == 1 else {}

    @property
    def kind(self) -> str:
        return str(self.frame.get("type", ""))


@dataclass(frozen=True)
class Sample:
    """The meta hash after a write. ``life`` grows where the server may have lost something."""

    line: int
    life: int
    epoch: str
    fields: Mapping[str, str]

    def number(self, name: str) -> int:
        return int(self.fields.get(name) or 0)


@dataclass
class LogTrace:
    """One conversation's log, by epoch and offset, and its meta hash over time.

    A write shows itself as entries, then as fields of meta, then as words on the channel; only
    these last tell the epoch for certain. Until then its entries are ``_fresh``.
    """

    conversation: str
    epochs: dict[str, dict[int, Entry]] = field(default_factory=dict)
    changed: list[tuple[str, Entry, Entry]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    final: Mapping[str, Any] | None = None
    final_line: int = 0
    epoch: str = ""
    _fresh: list[Entry] = field(default_factory=list)
    _sampled: bool = False

    def add(self, entry: Entry) -> None:
        if self._sampled:
            self.settle()
        self._fresh.append(entry)

    def sample(self, sample: Sample) -> None:
        self.samples.append(sample)
        for entry in self._fresh:
            entry.fence = sample.number("fence")
        self._sampled = True

    def said(self, session: str, epoch: str, offsets: range) -> None:
        self.epoch = epoch
        for entry in self._fresh:
            entry.session = session
        self.settle()
        for offset in offsets:
            known = self.epochs.get(epoch, {}).get(offset)
            if known is not None and not known.session:
                known.session = session

    def settle(self) -> None:
        """Take the fresh entries for those of the newest epoch."""
        for entry in self._fresh:
            self.put(self.epoch, entry)
        self._fresh.clear()
        self._sampled = False

    def put(self, epoch: str, entry: Entry) -> None:
        known = self.epochs.setdefault(epoch, {}).setdefault(entry.o, entry)
        if known.text != entry.text:
            told = {(e, two.o, two.text) for e, _, two in self.changed}
            if (epoch, entry.o, entry.text) not in told:
                self.changed.append((epoch, known, entry))
        elif known.swept and not entry.swept:
            self.epochs[epoch][entry.o] = entry

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """All that was ever logged, each epoch's in order."""
        for epoch, by_offset in self.epochs.items():
            for offset in sorted(by_offset):
                yield epoch, by_offset[offset]


def parsed(messages: Mapping[str, str]) -> dict[int, Mapping[str, Any]]:
    """Stored messages by their numbers."""
    return {int(m): next(frames_of(text))[0] for m, text in messages.items()}


def frames_of(text: str) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Each frame of a WebSocket message, with its own text. What is no JSON is a frame of type
    "(not JSON)".
    """
    try:
        at, end = 0, len(text)
        if text[:1] == "[":
            at = 1
        while at < end and text[at] != "]":
            value, after = _decoder.raw_decode(text, at)
            yield (value if isinstance(value, dict) else {"type": "(no object)"}), text[at:after]
            at = after
            while at < end and text[at] in ", \n":
                at += 1
    except ValueError:
        yield {"type": "(not JSON)"}, text
