"""The pump: the one task of a worker that talks to Redis about permits.

Callers leave what they want in the book and await a Future. The pump sends all that has gathered as
one step, brings the reply to the book, and sends the next. While a step is on its way the next one
gathers: an idle worker has one round trip per acquire, a busy one a dozen operations per round
trip. A second connection blocks in XREAD on the worker's inbox, where other workers' steps leave
grants.
"""

import asyncio
import random
import time
from contextlib import suppress
from math import inf
from typing import Any

import structlog
from redis.exceptions import RedisError, ResponseError

from service.core.errors import StoreUnavailable
from service.core.permit_errors import PermitsSchema, PermitsUnavailable
from service.store.connection import make_connection, until_first
from service.store.permit_book import Asker, Batch, Book
from service.store.permit_office import PermitOffice
from service.store.permit_steps import Reply, read_grants
from service.store.replies import Replies, pack

ACK_S = 0.1  # a receipt waits so long for a step to ride on; after 0.25 s no more grants come
AWAY_S = 30.0  # a failover is over by then; who has waited for Redis for longer is told so
PAUSES_S = (0.05, 0.1, 0.2)  # between steps that fail, drawn from 0 up to these
LOGGED_S = 1.0  # of failing: less is a start, or a reconnection
INBOX_BLOCK_MS = 1000  # then ask anew, and from its start an inbox that was made anew
INBOX_SILENT_S = 6.0  # past the block: the connection is dead, whatever TCP believes
SCHEMA_S = 1.0  # between tries while workers of a version too far from ours live
CLOSE_S = 1.0  # to give everything back at the end

log = structlog.get_logger("parley.permits")


class Pump:
    def __init__(self, office: PermitOffice, *, session: str, tier: int) -> None:
        self.office = office
        self.session = session
        self._bell = asyncio.Event()
        self.book = Book(tier=tier, timing=office.timing, ring=self._bell.set)
        self._inbox = office.inbox(session)
        self._wire: Replies  # of the inbox, while there is a connection
        self._last = b"0-0"  # entry of the inbox that was taken last
        self._inbox_asked = 0.0
        self._loop = asyncio.get_running_loop()
        self._alarm: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._expires_at = inf  # the earliest deadline of a waiter, time.monotonic()
        self._rings_at = 0.0  # of the alarm, on the loop's clock
        self._heartbeat_at = 0.0
        self._due_at = float("inf")  # when time alone may free what our waiters wait for
        self._failing_since: float | None = None
        self._failures = 0
        self._logged = False
        self._ended = False

    # -- steps --------------------------------------------------------------------------

    def ask(self, waiter: Asker) -> None:
        """Queue ``waiter``. Raises PermitsUnavailable where nobody would ever serve it."""
        if self._ended:
            raise PermitsUnavailable("this worker's permits have ended")
        if self._away():
            raise PermitsUnavailable(f"Redis has been away for {AWAY_S:g} s")
        self.book.ask(waiter)
        if waiter.deadline < self._expires_at:
            self._expire()

    def _expire(self) -> None:
        """End the waits whose time has come, and be back at the next deadline."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        now = time.monotonic()
        self._expires_at = self.book.expire(now)
        if self._expires_at < inf:
            self._expiry = self._loop.call_later(self._expires_at - now, self._expire)

    async def run(self) -> None:
        """Step whenever there is something to say. Raises Fenced."""
        self._bell.set()
        self._ended = False
        forget = self.office.when_up(self._came_up)
        try:
            while True:
                await self._bell.wait()
                self._bell.clear()
                await self._step()
        finally:
            forget()
            self._ended = True
            self.book.registered = False
            self.book.fail_waiters("this worker's permits have ended")

    async def _step(self) -> None:
        sent = time.monotonic()
        beat = sent >= self._heartbeat_at
        batch = self.book.compose(sent, beat=beat)
        if not batch.words and not self.book.owes_receipt and sent < self._due_at:
            self._ring_at(min(self._heartbeat_at, self._due_at))
            return
        if beat:
            self._heartbeat_at = sent + self.office.timing.heartbeat_s
        self._due_at = float("inf")
        try:
            reply = await self.office.step(self.session, self.book.head() + batch.words)
        except (StoreUnavailable, RedisError) as error:
            await self._failed(batch, error)
            return
        self._failures, self._failing_since = 0, None
        try:
            self.book.apply(reply, batch, sent)
        except PermitsSchema as error:
            self.book.fail_waiters(str(error), PermitsSchema)
            log.warning("permits refused", session=self.session, detail=str(error))
            await asyncio.sleep(SCHEMA_S)
            self._ring()
            return
        self._set_alarm(reply)

    async def _failed(self, batch: Batch, error: Exception) -> None:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since, self._logged = now, False
        if not self._logged and now > self._failing_since + LOGGED_S:
            self._logged = True
            log.warning("permits away", session=self.session, detail=str(error)[:200])
        self.book.registered = False
        self.book.unheard(batch)
        if self._away():
            self.book.fail_waiters(f"Redis has been away for {AWAY_S:g} s")
        pause = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
        self._failures += 1
        await asyncio.sleep(pause * random.random())

    def _away(self) -> bool:
        since = self._failing_since
        return since is not None and time.monotonic() > since + AWAY_S

    # -- time ---------------------------------------------------------------------------

    def _set_alarm(self, reply: Reply) -> None:
        """Ring for the next heartbeat; sooner for a receipt or what time alone may free."""
        now = time.monotonic()
        if self.book.waiters and reply.due_ms >= 0:
            self._due_at = now + reply.due_ms / 1000
        self._ring_at(min(self._heartbeat_at, self._due_at))
        if self.book.owes_receipt:
            self._ring_at(now + ACK_S)

    def _ring_at(self, when: float) -> None:
        """``when`` in time.monotonic(); an earlier alarm stays."""
        at = self._loop.time() + max(0.0, when - time.monotonic())
        if self._alarm is not None:
            if self._rings_at <= at:
                return
            self._alarm.cancel()
        self._rings_at = at  # uvloop gives no time to a timer that is due at once
        self._alarm = self._loop.call_at(at, self._ring)

    def _came_up(self) -> None:
        """Redis is back, perhaps as another server: come back at once, and not at the heartbeat."""
        self._heartbeat_at = 0.0
        self._ring()

    def _ring(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None
        self._bell.set()

    # -- the inbox ----------------------------------------------------------------------

    async def listen(self, url: str) -> None:
        """Take grants from the inbox, over a connection of its own, until cancelled."""
        while True:
            connection = make_connection(url, name=f"{self.session}-inbox")
            try:
                await connection.connect()  # type: ignore[no-untyped-call]
                self._wire = wire = Replies.over(connection, self._heard)
                try:
                    self._last = b"0-0"
                    self._ask_inbox()
                    await until_first(wire.serve(), self._watch_inbox())
                finally:
                    wire.close()
            except (StoreUnavailable, RedisError, OSError, TimeoutError) as error:
                log.debug("inbox away", session=self.session, detail=str(error)[:200])
                await asyncio.sleep(PAUSES_S[1] * (1 + random.random()))
            finally:
                with suppress(RedisError, OSError):
                    await connection.disconnect(nowait=True)

    def _ask_inbox(self) -> None:
        """For what comes after the last entry; the server answers at once, or when it is there."""
        self._inbox_asked = self._loop.time()
        words = ("XREAD", "BLOCK", INBOX_BLOCK_MS, "STREAMS", self._inbox, self._last)
        self._wire.write(pack(words))

    def _heard(self, streams: Any) -> None:
        if isinstance(streams, ResponseError):
            self._wire.lose(str(streams))
            return
        entries = streams[0][1] if streams else []
        # After a silent block ask for everything from now on: an inbox made anew by a server whose
        # clock went back numbers its entries lower. What has come before is known as such.
        self._last = entries[-1][0] if entries else b"0-0"
        self._ask_inbox()  # first, so that the server need not wait for us
        for _, fields in entries:
            self.book.take(int(fields[1]), read_grants(fields[3]))
        if self.book.owes_receipt:
            self._ring_at(time.monotonic() + ACK_S)

    async def _watch_inbox(self) -> None:
        while True:
            await asyncio.sleep(INBOX_BLOCK_MS / 1000)
            if self._loop.time() - self._inbox_asked > INBOX_SILENT_S:
                raise StoreUnavailable("the inbox is silent: the connection is dead")

    # -- the end ------------------------------------------------------------------------

    async def close(self) -> None:
        """Give everything back and end the session, if Redis is there to hear it.

        After ``run`` was cancelled: nobody else may step.
        """
        for timer in (self._alarm, self._expiry):
            if timer is not None:
                timer.cancel()
        self.book.waiters.clear()
        with suppress(StoreUnavailable, RedisError, TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                if self.book.known.epoch:
                    batch = self.book.compose(time.monotonic(), beat=False)
                    await self.office.step(self.session, self.book.head() + batch.words)
                await self.office.fence(self.session)
