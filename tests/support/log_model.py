"""A conversation's log on one page: what its functions must decide, without Redis and its keys.

It is written from the rules, not from the functions: who may write, what a repeat gets, what is
logged, who is answered. Frames are kept as values; how they are spelt is the functions' own affair.
A refusal is the error that the log raises for it. Left out: the limit of messages a minute, the
bound of the remembered ids, and how long anything is kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from service.core.errors import NoSuchMessage, NotRetryable, StepMissing, TurnLost
from service.core.model import OpenTurn

LEASE_MS = 3000
LOG_ENTRIES = 512
REPLAY_ENTRIES = 512
RETRYABLE = ("failed", "stopped", "length")
Frame = dict[str, Any]


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@dataclass
class Turn:
    """The open answer."""

    m: int
    answers: tuple[int, ...]
    replaces: int | None
    since_ms: int
    attempt: int = 1
    revision: int = 1
    text: str = ""
    length: int = 0
    crc32: int = 0
    cancelled: bool = False
    asked: bool = False  # its owner has sent a request to the model
    spent: int = 0  # owners that had, and are gone


class Owned(NamedTuple):
    """What an owner shows with a write: who it is, which turn, and which step is to be done."""

    session: str
    turn: OpenTurn

    @property
    def step(self) -> int:
        return self.turn.step + 1


@dataclass
class LogModel:
    """One conversation."""

    now_ms: int
    status: str = "assisted"
    frames: list[Frame] = field(default_factory=list)  # all that was ever logged
    kept_from: int = 1  # offset
    newest: int = 0  # message
    authors: dict[int, str] = field(default_factory=dict)  # of finished messages
    ids: dict[str, tuple[int, int]] = field(default_factory=dict)
    queued: list[int] = field(default_factory=list)
    owner: str = ""
    fence: int = 0
    step: int = 0
    lease: int = 0
    turn: Turn | None = None
    last: tuple[int, str, tuple[int, ...]] = (0, "", ())

    @property
    def top(self) -> int:
        return len(self.frames)

    def after(self, known: int) -> list[Frame]:
        """The kept frames after ``known``; none for who follows nothing (-1)."""
        return self.frames[max(known, self.kept_from - 1) :] if known >= 0 else []

    def open_turn(self) -> OpenTurn | None:
        """The open turn, as whoever owns it must know it."""
        turn = self.turn
        if turn is None:
            return None
        return OpenTurn(
            m=turn.m, fence=self.fence, step=self.step, attempt=turn.attempt,
            revision=turn.revision, answers=turn.answers, replaces=turn.replaces,
            cancelled=turn.cancelled, spent=turn.spent, since_ms=turn.since_ms,
        )  # fmt: skip

    # -- customers ----------------------------------------------------------------------------

    def accept(self, session: str, id: str, text: str) -> tuple[int, int, bool, OpenTurn | None]:
        """Number, offset, whether it was known, and the turn that ``session`` is to run."""
        if id in self.ids:
            lost = self.turn is not None and self.owner == session and not self.turn.length
            return *self.ids[id], True, self.open_turn() if lost else None
        self._created({"author": "customer", "id": id, "text": text, "language": "en"})
        self.ids[id] = self.newest, self.top
        self.queued.append(self.newest)
        if self.status == "resolved":
            self._updated("assisted")
        opened = self.turn is None and self._open(session, self.queued, None)
        return *self.ids[id], False, self.open_turn() if opened else None

    def stop(self, m: int) -> None:
        if m > self.newest:
            raise NoSuchMessage(str(m))
        if self.turn is not None and self.turn.m == m:
            self.turn.cancelled = True

    def rate(self, m: int, value: int) -> None:
        if self.authors.get(m) != "assistant":
            raise NoSuchMessage(str(m))
        self._log("answer.rated", m=m, value=value)

    def retry(self, session: str, m: int) -> OpenTurn | None:
        last, reason, answers = self.last
        if m != last or reason not in RETRYABLE or self.turn or self.status != "assisted":
            raise NotRetryable(str(m))
        self._open(session, answers, m)
        return self.open_turn()

    def notice(self, message: Frame) -> None:
        self._created(message)

    def resolve(self) -> None:
        if self.status != "resolved":
            self._updated("resolved")

    # -- owners -------------------------------------------------------------------------------

    def append(self, by: Owned, frame: Frame, text: str, *, length: int, crc32: int) -> None:
        turn = self._owned(by)
        if self._is_new(by):
            self._log(frame.pop("type"), **frame)
            turn.text, turn.length, turn.crc32 = turn.text + text, length, crc32
            self.step += 1
        self._renew()

    def rewind(self, by: Owned, text: str, *, length: int, crc32: int) -> None:
        turn = self._owned(by)
        if self._is_new(by):
            turn.revision += 1
            turn.text, turn.length, turn.crc32 = text, length, crc32
            self._log("answer.rewound", m=turn.m, r=turn.revision, at=length)
            self.step += 1
        self._renew()

    def finish(self, by: Owned, reason: str, notice: Frame | None) -> OpenTurn | None:
        """The next turn, where messages waited for one."""
        self._check(by)
        if self._is_new(by):
            turn = self._owned(by)
            if reason == "withdrawn":
                turn.length = turn.crc32 = 0
                self.kept_from = self.top + 1
            if notice is not None:
                self._created(notice)
            self.authors[turn.m] = "assistant"
            self._log("answer.done", m=turn.m, reason=reason, length=turn.length, crc32=turn.crc32)
            self.kept_from = max(self.kept_from, self.top - LOG_ENTRIES + 1)
            self.last, self.turn = (turn.m, reason, turn.answers), None
            if self.queued:
                self._open(by.session, self.queued, None)
            self.step += 1
        return self.open_turn()

    def renew(self, by: Owned, *, asks: bool) -> bool:
        """Whether the customer wants it stopped."""
        turn = self._owned(by)
        turn.asked = turn.asked or asks
        self._renew()
        return turn.cancelled and turn.m == by.turn.m

    def handover(self, by: Owned) -> None:
        self._owned(by).asked = False
        self.lease = 0

    def expired(self) -> bool:
        return self.turn is not None and self.lease <= self.now_ms

    def adopt(self, session: str, looked_ms: int, dead: str) -> OpenTurn | None:
        """The turn, where its lease had run out at the look, it was given away, or its owner is
        known to be dead.
        """
        turn = self.turn
        if turn is None or (0 != self.lease >= looked_ms and self.owner != dead):
            return None
        self.owner, self.fence, self.step = session, self.fence + 1, 0
        turn.attempt, turn.spent, turn.asked = turn.attempt + 1, turn.spent + turn.asked, False
        self._started(turn)
        self._renew()
        return self.open_turn()

    # -- readers ------------------------------------------------------------------------------

    def mode(self, epoch: str, offset: int) -> str:
        """How one who is at ``offset`` (-1: nowhere) goes on."""
        if offset < 0:
            return "snapshot"
        if epoch != "e1" or offset > self.top:
            return "reset"
        within = self.kept_from - 1 <= offset and self.top - offset <= REPLAY_ENTRIES
        return "replay" if within else "snapshot"

    # -- what they share ----------------------------------------------------------------------

    def _log(self, type: str, **fields: Any) -> None:
        self.frames.append({"o": self.top + 1, "type": type, **fields})

    def _created(self, message: Frame) -> None:
        self.newest += 1
        self.authors[self.newest] = message["author"]
        self._log("message.created", message={"m": self.newest, "time": self.now_ms, **message})

    def _updated(self, status: str) -> None:
        self.status = status
        self._log("conversation.updated", status=status)

    def _open(self, session: str, answers: Iterable[int], replaces: int | None) -> bool:
        self.newest += 1
        if self.owner != session:
            self.owner, self.fence, self.step = session, self.fence + 1, 0
        self.turn = Turn(self.newest, tuple(answers), replaces, self.now_ms)
        if replaces is None:
            self.queued = []
        self._started(self.turn)
        self._renew()
        return True

    def _started(self, turn: Turn) -> None:
        more = {} if turn.replaces is None else {"replaces": turn.replaces}
        self._log(
            "answer.started", m=turn.m, attempt=turn.attempt, r=turn.revision,
            answers=list(turn.answers), **more,
        )  # fmt: skip

    def _check(self, by: Owned) -> None:
        if self.owner != by.session or self.fence != by.turn.fence:
            raise TurnLost("model")

    def _owned(self, by: Owned) -> Turn:
        self._check(by)
        if self.turn is None:
            raise TurnLost("model")
        return self.turn

    def _is_new(self, by: Owned) -> bool:
        """Whether the step is to be done now; false where it was. Raises StepMissing."""
        if by.step == self.step:
            return False
        if by.step != self.step + 1:
            raise StepMissing("model", has=self.step)
        return True

    def _renew(self) -> None:
        self.lease = self.now_ms + LEASE_MS
