"""What the proxy shall do, and to which commands: rules, each with a fault and a pattern.

    Rule(Cut(), "FCALL append_*", first=3)        the third append is done; its reply never comes
    Rule(Drop(), "smessage *", push=True, chance=0.1, times=None)     a tenth of the hints is lost

A pattern's words are matched with the command's first ones, as file names are; letters may be
large or small. A rule looks at requests, also where its fault befalls the reply: the nth reply of
the commands that match is that of the nth command.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random


@dataclass(frozen=True)
class Drop:
    """The command is done. Its reply and all behind it never come, and the connection stays open:
    a client that waits for the next one would take it for the lost one, so none comes. Of a push:
    this message is lost, and the next one comes.
    """


@dataclass(frozen=True)
class DropRequest:
    """The command and all behind it never reach the server, and the connection stays open."""


@dataclass(frozen=True)
class Cut:
    """The command is done. The connection ends after ``sent`` bytes of its reply, by FIN, or by
    RST where ``reset``.
    """

    sent: int = 0
    reset: bool = False


@dataclass(frozen=True)
class CutRequest:
    """The connection ends before the command reaches the server."""

    reset: bool = False


@dataclass(frozen=True)
class Delay:
    """The reply, and all behind it, comes later by so many seconds."""

    s: float


@dataclass(frozen=True)
class DelayRequest:
    """The command, and all behind it, reaches the server later by so many seconds."""

    s: float


@dataclass(frozen=True)
class Repeat:
    """The server gets the command twice, and the client the second reply: a client library that
    sends again what it got no reply to.
    """


@dataclass(frozen=True)
class Duplicate:
    """The reply or push comes twice. TCP doubles no reply: a client that survives it shows that it
    would rather lose its connection than hand out the wrong replies.
    """


@dataclass(frozen=True)
class Swap:
    """A push comes behind the next one; where none follows, never."""


@dataclass(frozen=True)
class Refuse:
    """The server never sees the command, and an error comes in its place."""

    error: str = "OOM command not allowed when used memory > 'maxmemory'."


Fault = (
    Drop
    | DropRequest
    | Cut
    | CutRequest
    | Delay
    | DelayRequest
    | Repeat
    | Duplicate
    | Swap
    | Refuse
)
OF_PUSHES = (Drop, Cut, Delay, Duplicate, Swap)


@dataclass
class Rule:
    """``fault`` for the commands or pushes that match: from the ``first`` one on, ``times`` times
    (None: always), each with ``chance``. ``having`` must stand somewhere in it.
    """

    fault: Fault
    pattern: str = "*"
    push: bool = False
    having: bytes = b""
    first: int = 1
    times: int | None = 1
    chance: float = 1.0
    met: int = 0  # matched so far
    done: int = 0  # did its fault so far
    _random: Random = field(default_factory=Random, repr=False)

    def __post_init__(self) -> None:
        if self.push and not isinstance(self.fault, OF_PUSHES):
            raise ValueError(f"{type(self.fault).__name__} is for commands, not for pushes")
        if not self.push and isinstance(self.fault, Swap):
            raise ValueError("only pushes may be swapped: a reply's place is what it is known by")
        if self.first < 1 or not 0 <= self.chance <= 1:
            raise ValueError("first counts from 1, and a chance is within 0 and 1")

    def seed(self, seed: str) -> None:
        """Make its chances those of ``seed``: the nth command that matches has always the same."""
        self._random = Random(seed)

    def strikes(self, words: Sequence[bytes], message: bytes) -> bool:
        """Whether this rule's fault befalls ``message``, whose elements are ``words``."""
        if not self.matches(words, message):
            return False
        self.met += 1
        drawn = self.chance >= 1.0 or self._random.random() < self.chance
        over = self.times is not None and self.done >= self.times
        if not drawn or over or self.met < self.first:
            return False
        self.done += 1
        return True

    def matches(self, words: Sequence[bytes], message: bytes) -> bool:
        patterns = self.pattern.lower().split()
        return (
            len(words) >= len(patterns)
            and self.having in message
            and all(
                fnmatchcase(word.decode("utf-8", "replace").lower(), pattern)
                for word, pattern in zip(words, patterns, strict=False)
            )
        )


def gremlins(rate: float, pattern: str = "FCALL *") -> list[Rule]:
    """Every fault that networks and servers have, together about ``rate`` of the commands and
    pushes. Give them to a proxy with a seed.
    """
    replies: list[Fault] = [
        Cut(), Cut(reset=True), Cut(sent=7), CutRequest(), Drop(), DropRequest(),
        Delay(0.05), DelayRequest(0.05), Repeat(), Refuse(), Refuse("LOADING loading the dataset"),
    ]  # fmt: skip
    pushes: list[Fault] = [Drop(), Duplicate(), Swap(), Delay(0.05), Cut()]
    return [
        *(Rule(one, pattern, times=None, chance=rate / len(replies)) for one in replies),
        *(
            Rule(one, "*message", push=True, times=None, chance=rate / len(pushes))
            for one in pushes
        ),
    ]
