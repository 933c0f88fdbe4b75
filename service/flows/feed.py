"""What one worker has of a conversation, and who in it follows.

A feed holds the newest logged frames in order and without a gap. Sockets read it through a cursor
of their own, so a slow one costs no queue: it takes more at a time. Frames come from three sides:
the replies to this worker's own writes, hints of other workers, and the log itself, which is read
where a hint was missed. A frame that is there already is ignored; one beyond a gap starts the
healing; and where the log no longer has what is missing, the feed is *lost*: its sockets attach
again and get a snapshot.

Frames shown in passing (the place in the queue, what goes on) have no offset. The feed keeps the
newest of each type while the answer has not begun, for whoever attaches.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

from service.core import hints
from service.core.errors import ConversationGone, StoreError
from service.core.model import Attached, Position, Written
from service.flows.ports import Channels, Reader

HELD_BYTES = 1 << 20  # frames kept for slow sockets; twice over what any socket may lag
PASSING = 32  # frames shown in passing that a busy socket may miss beyond
EARLY = 64  # hints kept before anybody has read the log; older ones are in the log by then


class Follower:
    """One socket's view of a feed: wake it, and it takes what is new."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.passing: deque[bytes] = deque(maxlen=PASSING)


class Feed:
    """One conversation on this worker."""

    def __init__(self, conversation: str) -> None:
        self.conversation = conversation
        self.epoch = ""
        self.top = -1  # newest offset held; -1 until somebody read the log
        self.open = False  # an answer runs
        self.revoked = False  # the conversation's tokens are void
        self.losses = 0  # how often the log could not supply what was missing
        self.stale = False  # the log has, or may have, what is not here
        self.heal: Callable[[], None] = lambda: None  # reads what is missing; set by Feeds
        self.followers: set[Follower] = set()
        self.uses = 0
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._early: deque[hints.Logged] = deque(maxlen=EARLY)
        self._latest: dict[bytes, bytes] = {}

    def begin(self, epoch: str, top: int, *, open: bool) -> None:
        """Start from what somebody read in the log. A feed that has begun only looks whether the
        log is further.
        """
        if self.top >= 0 and self.epoch == epoch:
            if top > self.top:
                self.heal()
            return
        if self.top >= 0:
            self.losses += 1  # another epoch: who follows already must attach again
        self._restart(epoch, top)
        self.open = open
        early = list(self._early)
        self._early.clear()
        for hint in early:
            if hint.epoch != epoch or not self.put(hint.first, hint.frames):
                self.stale = True
        if self.stale:
            self.heal()

    def put(self, first: int, frames: Sequence[bytes]) -> bool:
        """Add logged frames from offset ``first`` on. False where a gap is before them."""
        if first > self.top + 1:
            return False
        fresh = frames[self.top + 1 - first :] if self.top + 1 > first else frames
        if not fresh:
            return True
        self._frames.extend(fresh)
        self.top += len(fresh)
        self._bytes += sum(map(len, fresh))
        while self._bytes > HELD_BYTES and len(self._frames) > 1:
            self._bytes -= len(self._frames.popleft())
        for frame in fresh:
            self._regard(frame, len(fresh))
        self._wake()
        return True

    def _regard(self, frame: bytes, together: int) -> None:
        """See what ``frame``, one of ``together`` that came at once, says of the answer."""
        kind = frame[frame.find(b'"type":', 4) + 7 :][:64]
        if kind.startswith((b'"answer.started"', b'"answer.delta"')):
            self.open = True
        elif kind.startswith(b'"answer.done"'):
            self.open = False
            if b'"reason":"withdrawn"' in kind:  # its text must not reach who is behind
                self._forget(len(self._frames) - together)
        else:
            return
        self._latest.clear()
        for follower in self.followers:
            follower.passing.clear()  # it would be sent behind this frame, as if it were news

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._bytes -= len(self._frames.popleft())

    def early(self, hint: hints.Logged) -> None:
        """Keep a hint that came before anybody had read the log."""
        self._early.append(hint)

    def after(self, offset: int) -> list[bytes] | None:
        """Frames after ``offset``; None where they are held no more."""
        count = self.top - offset
        if count <= 0:
            return []
        if count > len(self._frames):
            return None
        start = len(self._frames) - count
        return [self._frames[i] for i in range(start, len(self._frames))]

    def show(self, frame: bytes) -> None:
        """Show ``frame`` in passing to every socket here."""
        kind = frame[:24]  # a type's first bytes are its own
        self._latest.pop(kind, None)  # the newest comes last
        self._latest[kind] = frame
        for follower in self.followers:
            follower.passing.append(frame)
        self._wake()

    def latest(self) -> list[bytes]:
        """What a socket that attaches now should see of what is shown in passing."""
        return list(self._latest.values())

    def lose(self, attached: Attached) -> None:
        """Begin anew from ``attached``; every socket attaches again."""
        self.losses += 1
        self._restart(attached.epoch, attached.top)
        self.open = attached.turn is not None
        self._wake()

    def _restart(self, epoch: str, top: int) -> None:
        self.epoch, self.top = epoch, top
        self._frames.clear()
        self._bytes = 0

    def revoke(self) -> None:
        """Nobody may follow any more."""
        self.revoked = True
        self._wake()

    def _wake(self) -> None:
        for follower in self.followers:
            follower.wake.set()


class Feeds:
    """The feeds of one worker, by conversation, for as long as somebody uses them."""

    def __init__(self, reader: Reader, channels: Channels) -> None:
        self._reader = reader
        self._channels = channels
        self._feeds: dict[str, Feed] = {}
        self._healing: dict[str, asyncio.Task[None]] = {}
        self.stopped: Callable[[str, int], None] = lambda conversation, m: None
        self.asked: Callable[[str], None] = lambda conversation: None
        self.given_away: Callable[[str], None] = lambda conversation: None

    def is_followed(self, conversation: str) -> bool:
        """Whether a socket of this worker shows the conversation."""
        feed = self._feeds.get(conversation)
        return feed is not None and bool(feed.followers)

    def __len__(self) -> int:
        return len(self._feeds)

    @asynccontextmanager
    async def use(self, conversation: str, *, deaf: bool = False) -> AsyncIterator[Feed]:
        """The conversation's feed, following its channel until the last user leaves.

        Raises StoreUnavailable where the channel cannot be followed now; not for who may be
        ``deaf``, because it writes and the channel is only a hint: it is followed later.
        """
        feed = self._feeds.get(conversation)
        if feed is None:
            feed = self._feeds[conversation] = Feed(conversation)
            feed.heal = partial(self._heal, feed)
        feed.uses += 1
        try:
            try:
                await self._channels.follow(conversation, lambda hint: self._receive(feed, hint))
            except StoreError:
                if not deaf:
                    raise
            yield feed
        finally:
            feed.uses -= 1
            if not feed.uses and self._feeds.get(conversation) is feed:
                del self._feeds[conversation]
                healing = self._healing.pop(conversation, None)
                if healing is not None:
                    healing.cancel()
                with suppress(StoreError):
                    await self._channels.leave(conversation)

    def wrote(self, feed: Feed, written: Written) -> None:
        """Take in the reply to a write of this worker."""
        if feed.top < 0:
            feed.stale = True
            return
        if not feed.put(written.top - len(written.frames) + 1, written.frames):
            self._heal(feed)

    async def show(self, feed: Feed, frame: bytes) -> None:
        """Show ``frame`` in passing, here and on every worker that follows."""
        feed.show(frame)
        await self._channels.show(feed.conversation, frame)

    async def ask(self, conversation: str) -> None:
        await self._channels.ask(conversation)

    def missed(self) -> None:
        """The subscriber was away: what was published meanwhile is in the logs."""
        for feed in self._feeds.values():
            self._heal(feed)

    def _receive(self, feed: Feed, hint: hints.Hint) -> None:
        match hint:
            case hints.Logged() if feed.top < 0:
                feed.early(hint)
            case hints.Logged():
                if hint.epoch != feed.epoch or not feed.put(hint.first, hint.frames):
                    self._heal(feed)
            case hints.Shown():
                feed.show(hint.frame)
            case hints.Stopped():
                self.stopped(feed.conversation, hint.m)
            case hints.Revoked():
                feed.revoke()
            case hints.Asked():
                self.asked(feed.conversation)
            case hints.GivenAway():
                self.given_away(feed.conversation)

    def _heal(self, feed: Feed) -> None:
        if self._feeds.get(feed.conversation) is not feed:
            return  # everybody has left; only the end of a command still brought a reply
        feed.stale = True
        if feed.top >= 0 and feed.conversation not in self._healing:
            task = asyncio.create_task(self._read_missing(feed))
            self._healing[feed.conversation] = task

    async def _read_missing(self, feed: Feed) -> None:
        """Read the log until nothing was missed while it was read."""
        try:
            while feed.stale:
                feed.stale = False
                attached = await self._attach(feed)
                if attached is None:
                    return
                first = attached.top - len(attached.frames) + 1
                if attached.mode != "replay" or not feed.put(first, attached.frames):
                    feed.lose(attached)
        finally:
            if self._healing.get(feed.conversation) is asyncio.current_task():
                del self._healing[feed.conversation]

    async def _attach(self, feed: Feed) -> Attached | None:
        """What the log has beyond the feed; None where there is no such conversation."""
        known = Position(feed.epoch, feed.top) if feed.epoch else None
        pause = 0.05
        while True:
            try:
                return await self._reader.attach(feed.conversation, known)
            except ConversationGone:
                return None
            except StoreError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, 1.0)
