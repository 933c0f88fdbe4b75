"""A conversation's log: every decision over it is one atomic function on the server.

This module only packs arguments and names replies; what happens is written in `lua/`, one file a
decision. Three rules hold everywhere:

* The log comes first. Nothing is shown that these functions have not stored.
* The function gives out offsets and puts them into the frames, because several workers write one
  log: the owner of a turn, another tab's `accept`, a stop, a rating.
* Every write may be repeated. A message is known by its id, an owner's write by its step; the
  repeat of one that was done returns what it did. So a lost reply costs a round trip, never a
  word.

The owner of a turn shows its session and its fence with each write. Whoever adopts the turn raises
the fence, and the former owner's next write is refused with TurnLost.
"""

from collections.abc import Sequence
from typing import Any

from service.core.errors import (
    ConversationGone,
    NoSuchMessage,
    NotRetryable,
    RateLimited,
    StepMissing,
    TurnLost,
)
from service.core.model import Accepted, Adopted, Attached, OpenTurn, Position, Written
from service.store import keys
from service.store.connection import Argument, Commands
from service.store.functions import Library, build

LEASE_MS = 3000  # renewed every 0.8 s: three renewals may be lost
SNAPSHOT_MESSAGES = 50
REPLAY_ENTRIES = 512  # a longer replay is sent as a snapshot, which is smaller
REPLAY_BYTES = 65_536

FUNCTIONS = (
    *("begin", "accept", "append", "rewind", "finish", "renew", "handover"),
    *(
        "expired",
        "owned",
        "adopt",
        "attach",
        "stop",
        "rate",
        "retry",
        "notice",
        "resolve",
        "redeem",
    ),
)


def library(**instead: str) -> Library:
    """The conversation functions, with other texts for files of `lua/`: ``library(clock=TEXT)``."""
    return build("log", FUNCTIONS, shared=("conversation",), instead=instead)


class Log:
    """The conversations of all sites, as one worker's ``session`` reads and writes them."""

    def __init__(self, commands: Commands, *, session: str, functions: Library) -> None:
        self.session = session
        self._commands = commands
        self._functions = {name: functions.function(name) for name in FUNCTIONS}

    async def load(self) -> None:
        """Load the functions, so that the first customer does not wait for it."""
        await self._commands.load(self._functions["begin"])

    async def begin(self, conversation: str, *, epoch: str, site: str, retention_s: int) -> int:
        """Begin a conversation unless it is there. Returns its generation of tokens."""
        reply = await self._call("begin", conversation, 0, epoch, site, retention_s)
        return int(reply[1])

    async def accept(
        self, conversation: str, known: int, *, id: str, message: bytes, a_minute: int
    ) -> Accepted:
        """Store a customer's message once. ``message``: its JSON after the time.

        Raises RateLimited or ConversationGone.
        """
        reply = await self._call("accept", conversation, known, id, message, LEASE_MS, a_minute)
        if reply[0] == b"limited":
            raise RateLimited(retry_ms=reply[1], seconds=-(-reply[1] // 1000))
        turn = _turn(reply[5])
        return Accepted(
            reply[1], reply[2], reply[0] == b"known", Written(reply[3], tuple(reply[4]), turn)
        )

    async def append(
        self,
        conversation: str,
        known: int,
        turn: OpenTurn,
        *,
        frames: Sequence[bytes],
        text: str,
        length: int,
        crc32: int,
    ) -> Written:
        """Log ``frames`` (JSON after the offset) and add ``text`` to the open answer.

        ``length`` (UTF-16 units) and ``crc32`` (of the UTF-8 text) are of the whole answer after
        it. Raises TurnLost, StepMissing or ConversationGone.
        """
        reply = await self._call(
            "append", conversation, known,
            turn.fence, turn.step + 1, LEASE_MS, text, length, crc32, *frames,
        )  # fmt: skip
        return Written(reply[1], tuple(reply[2]), cancelled=_marked(reply[3], turn))

    async def rewind(
        self, conversation: str, known: int, turn: OpenTurn, *, text: str, length: int, crc32: int
    ) -> Written:
        """Cut the open answer to ``text``, its beginning, in a new revision."""
        reply = await self._call(
            "rewind", conversation, known,
            turn.fence, turn.step + 1, LEASE_MS, text, length, crc32,
        )  # fmt: skip
        return Written(reply[1], tuple(reply[2]), cancelled=_marked(reply[3], turn))

    async def finish(
        self,
        conversation: str,
        known: int,
        turn: OpenTurn,
        *,
        reason: str,
        sources: bytes = b"",
        notice: bytes = b"",
    ) -> Written:
        """End the open answer; the next turn is in the reply where messages waited for it."""
        reply = await self._call(
            "finish", conversation, known,
            turn.fence, turn.step + 1, LEASE_MS, reason, sources, notice,
        )  # fmt: skip
        return Written(reply[1], tuple(reply[2]), _turn(reply[3]))

    async def renew(self, conversation: str, turn: OpenTurn, *, asks: bool = False) -> bool:
        """Renew the lease of an open turn. True where its customer wants it stopped.

        ``asks``: a request to the model is being sent, so that the attempt counts from now on.
        """
        reply = await self._call("renew", conversation, 0, turn.fence, LEASE_MS, int(asks))
        return _marked(reply[1], turn)

    async def handover(self, conversation: str, turn: OpenTurn) -> None:
        """Give the turn away in good order. Raises TurnLost where it is not ours any more."""
        await self._call("handover", conversation, 0, turn.fence)

    async def expired(self, partition: int, *, most: int) -> tuple[int, list[tuple[str, int]]]:
        """The server's time (ms), and the conversations of ``partition`` whose lease has run out,
        each with the end of its lease: 0 for a turn that was given away.
        """
        function = self._functions["expired"]
        reply = await self._commands.call(function, [keys.leases(partition)], [most])
        late = [(reply[at].decode(), int(reply[at + 1])) for at in range(1, len(reply), 2)]
        return int(reply[0]), late

    async def owned(self, partition: int, session: str, *, most: int) -> list[str]:
        """Conversations of ``partition`` with an open turn of ``session``."""
        function, prefix = self._functions["owned"], keys.meta_prefix(partition)
        words: list[Argument] = [session, most, prefix]
        reply = await self._commands.call(function, [keys.leases(partition)], words)
        return [name.decode() for name in reply]

    async def adopt(self, conversation: str, *, looked_ms: int, dead: str = "") -> Adopted | None:
        """Take over a turn whose lease had run out at ``looked_ms``, or that was given away, or
        whose owner is the session ``dead``; None where there is none.
        """
        reply = await self._call("adopt", conversation, 0, LEASE_MS, looked_ms, dead)
        if reply[0] != b"ok":
            return None
        turn = _turn(reply[2])
        assert turn is not None
        return Adopted(turn, reply[3].decode(), reply[4].decode(), reply[1], reply[5].decode())

    async def attach(self, conversation: str, position: Position | None) -> Attached:
        """What a client at ``position`` (None: it has nothing) lacks. Raises ConversationGone."""
        epoch, offset = (position.epoch, position.offset) if position else ("", 0)
        reply = await self._call(
            "attach", conversation, 0,
            epoch, offset, SNAPSHOT_MESSAGES, REPLAY_ENTRIES, REPLAY_BYTES,
        )  # fmt: skip
        return Attached(
            mode=reply[0].decode(),
            epoch=reply[1].decode(),
            top=reply[2],
            status=reply[3].decode(),
            generation=reply[4],
            newest=reply[5],
            turn=_turn(reply[6]),
            text=reply[7].decode(),
            frames=tuple(reply[8]),
            messages=tuple(reply[9]),
            site=reply[10].decode(),
        )

    async def messages(self, conversation: str, *, before: int, count: int) -> list[bytes]:
        """Finished messages with numbers below ``before``, ascending, as JSON."""
        numbers = range(max(1, before - count), before)
        if not numbers:
            return []
        names = keys.conversation(conversation)
        found = await self._commands.send("HMGET", names.messages, *numbers)
        return [message for message in found if message is not None]

    async def stop(self, conversation: str, m: int) -> None:
        """Mark the open answer ``m`` to be stopped; for what is not open this does nothing."""
        reply = await self._call("stop", conversation, 0, m)
        if reply[0] == b"unknown":
            raise NoSuchMessage(f"no message {m}")

    async def rate(self, conversation: str, known: int, *, m: int, value: int) -> Written:
        """Rate the finished answer ``m``: 1, -1, or 0 to take it back."""
        reply = await self._call("rate", conversation, known, m, value)
        if reply[0] == b"unknown":
            raise NoSuchMessage(f"no finished answer {m}")
        return Written(reply[1], tuple(reply[2]))

    async def retry(self, conversation: str, known: int, *, m: int) -> Written:
        """Open a turn that answers anew what ``m`` answered badly. Raises NotRetryable."""
        reply = await self._call("retry", conversation, known, m, LEASE_MS)
        if reply[0] == b"refused":
            raise NotRetryable(f"{m} is not the newest answer, or has nothing to retry")
        return Written(reply[1], tuple(reply[2]), _turn(reply[3]))

    async def notice(self, conversation: str, known: int, message: bytes) -> Written:
        """Log words of the server itself. ``message``: JSON after the time."""
        reply = await self._call("notice", conversation, known, message)
        return Written(reply[1], tuple(reply[2]))

    async def resolve(self, conversation: str, known: int) -> Written:
        """End the conversation until the customer writes again."""
        reply = await self._call("resolve", conversation, known)
        return Written(reply[1], tuple(reply[2]))

    async def redeem(
        self, conversation: str, *, used: str, successor: str, lives_s: int
    ) -> int | None:
        """Use a handle (its digest; "" for the first) and store its successor's digest.

        Returns the generation for a new token, or None where the handle is good no more.
        """
        reply = await self._call("redeem", conversation, 0, used, successor, lives_s)
        return int(reply[1]) if reply[0] == b"ok" else None

    async def _call(self, name: str, conversation: str, known: int, *args: Argument) -> Any:
        names = keys.conversation(conversation)
        reply = await self._commands.call(
            self._functions[name],
            names[:-1],  # all but the channel, which is no key
            (conversation, names.channel, self.session, known, *args),
        )
        match reply[0]:
            case b"gone" if name != "adopt":
                raise ConversationGone(conversation)
            case b"lost":
                raise TurnLost(f"{conversation}: another worker owns the turn")
            case b"behind":
                raise StepMissing(f"{conversation}: the log has step {reply[1]}", has=reply[1])
        return reply


def _turn(reply: list[Any]) -> OpenTurn | None:
    if not reply:
        return None
    m, fence, step, attempt, revision, answers, replaces, cancel, spent, since = reply
    return OpenTurn(
        m=m, fence=fence, step=step, attempt=attempt, revision=revision,
        answers=tuple(int(part) for part in answers.split(b",") if part),
        replaces=int(replaces) if replaces else None,
        cancelled=cancel == b"%d" % m, spent=spent, since_ms=since,
    )  # fmt: skip


def _marked(cancel: bytes, turn: OpenTurn) -> bool:
    return cancel == b"%d" % turn.m
