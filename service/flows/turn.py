"""One turn: a customer's messages, to the assistant's complete answer.

The log opened the turn in the step that accepted the message, so it exists before anything here
runs. From then on this worker owns it. Three things go on side by side:

* *asking* (`asking.py`): context, permit, request, and again where a retry helps.
* *writing* (`writer.py`): text becomes logged deltas. Nothing is shown that is not in the log.
* *holding*: one task for all turns of the worker renews their leases.

Each can end the turn. Asking ends it with the answer, or with words for why there is none. Writing
and holding end it with TurnLost, when another worker has adopted the turn: then this one writes
nothing any more. And the customer ends it with a stop, which arrives as a hint, or as a mark in the
reply to any write: asking is cancelled, which closes the connection to the model, and the answer is
finished with what it has.

A turn goes on when the customer leaves, and when Redis is away. `finish` may open the next turn,
for messages that came meanwhile, in its own step; it is run here too. And between a finish and the
end of its task another message may open a turn: that one is kept, and run next.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec
import structlog

from service.core import wire
from service.core.errors import ParleyError, StoreError, TurnLost
from service.core.model import OpenTurn
from service.core.texts import CODES
from service.core.texts import text as words
from service.flows.asking import Asking
from service.flows.context import Context
from service.flows.feed import Feed, Feeds
from service.flows.job import Ending, Job
from service.flows.ports import Log
from service.flows.writer import AnswerWriter

RENEW_S = 0.8  # a lease lives 3 s: three renewals may be lost

log = structlog.get_logger("parley.turn")
T = TypeVar("T")


class Running:
    """A turn while it runs here: what renewals and stops need of it."""

    def __init__(self, writer: AnswerWriter) -> None:
        self.writer = writer
        self.lost = asyncio.Event()


class Turns:
    """The turns that this worker owns."""

    def __init__(self, *, log: Log, feeds: Feeds, asking: Asking, context: Context) -> None:
        self._log = log
        self._feeds = feeds
        self._asking = asking
        self._context = context
        self._newest: dict[str, Job] = {}  # of each conversation that has a task here
        self._running: dict[str, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self.ended: Callable[[str], None] = lambda reason: None  # for metrics
        feeds.stopped = self.stop
        feeds.asked = self.show_again

    def __len__(self) -> int:
        return len(self._newest)

    def runs(self, conversation: str) -> bool:
        return conversation in self._newest

    def start(self, job: Job) -> None:
        """Run ``job`` and the turns that follow from it, after any turn that runs already."""
        before = self._newest.get(job.conversation)
        if before is not None and before.turn.m >= job.turn.m:
            return  # the same turn, told again
        self._newest[job.conversation] = job
        if before is None:
            self._background(self._run(job))

    def stop(self, conversation: str, m: int) -> None:
        """The customer wants answer ``m`` to stop."""
        running = self._running.get(conversation)
        if running is not None and running.writer.turn.m == m:
            running.writer.stopped.set()

    def show_again(self, conversation: str) -> None:
        """A socket came elsewhere: show there what is shown in passing."""
        running = self._running.get(conversation)
        if running is not None:
            for frame in running.writer.feed.latest():
                self._show(running.writer.feed, frame)

    async def hold(self) -> None:
        """Renew the leases of all turns here, for ever."""
        while True:
            await asyncio.sleep(RENEW_S)
            await asyncio.gather(*(self._renew(*item) for item in list(self._running.items())))

    async def drain(self, timeout_s: float) -> int:
        """Let running turns end, and give away those that do not. Returns how many those were."""
        self._draining = True
        end = time.monotonic() + timeout_s
        while self._tasks and (left_s := end - time.monotonic()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s)  # others may begin meanwhile
        unfinished = {name: running.writer for name, running in self._running.items()}
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        given = (self._give_away(name, writer.turn) for name, writer in unfinished.items())
        await asyncio.gather(*given)
        return len(unfinished)

    async def _give_away(self, conversation: str, turn: OpenTurn) -> None:
        """Only what is in the log is given; what is not, the model says again."""
        try:
            await self._log.handover(conversation, turn)
        except StoreError as error:  # its lease runs out, too
            log.warning("turn not given away", conversation=conversation, code=error.code)

    async def _renew(self, conversation: str, running: Running, *, asks: bool = False) -> None:
        """Renew the lease; ``asks``: and note that the model is being asked, so that the attempt
        counts should this worker die of it. Nobody waits for that: the request goes out now."""
        try:
            if await self._log.renew(conversation, running.writer.turn, asks=asks):
                running.writer.stopped.set()
        except TurnLost:
            running.lost.set()
        except StoreError:
            return  # the lease may run out meanwhile; it is revived where nobody adopted the turn

    def _show(self, feed: Feed, frame: bytes) -> None:
        self._background(self._feeds.show(feed, frame))

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- one turn after the other ---------------------------------------------------------

    async def _run(self, job: Job) -> None:
        conversation = job.conversation
        try:
            async with self._feeds.use(conversation, deaf=True) as feed:
                if job.position is not None:
                    feed.begin(job.position.epoch, job.position.offset, open=True)
                following: Job | None = job
                while following is not None:
                    job = following
                    following = await self._answer(job, feed)
                    if following is not None and self._is_left(conversation):
                        job = following
                        return await self._give_away(conversation, job.turn)
        except ParleyError as error:
            # Whoever adopts the turn goes on with it; another worker may have done so already.
            log.warning("turn left", conversation=conversation, code=error.code)
        except Exception:
            log.exception("turn broke", conversation=conversation)
        finally:
            newest = self._newest.pop(conversation)
            if newest.turn.m > job.turn.m:
                self.start(newest)

    def _is_left(self, conversation: str) -> bool:
        """Whether its next turn is better begun by the worker that its sockets went to: while this
        one drains, what begins here may have to be cut in its middle.
        """
        return self._draining and not self._feeds.is_followed(conversation)

    async def _answer(self, job: Job, feed: Feed) -> Job | None:
        """One answer, from the first request to its end in the log. Returns what follows."""
        conversation, started = job.conversation, time.monotonic()
        writer = AnswerWriter(self._log, self._feeds, feed, job.turn, job.shown)
        running = self._running[conversation] = Running(writer)
        writing = asyncio.create_task(writer.run())
        try:
            ending = await self._ask(job, running, writing)
            opened = await _beside(writing, self._finish(job, writer, ending))
        finally:
            del self._running[conversation]
            await _end(writing)
        self.ended(ending.reason)
        log.info(
            "answer", conversation=conversation, site=job.site.key, m=job.turn.m,
            reason=ending.reason, notice=ending.notice, units=wire.units(writer.text),
            seconds=round(time.monotonic() - started, 3),
        )  # fmt: skip
        if opened is not None:
            following = msgspec.structs.replace(job, turn=opened, shown="", position=None)
            self._newest[conversation] = following
            return following
        newest = self._newest[conversation]
        return newest if newest.turn.m > job.turn.m else None

    async def _ask(self, job: Job, running: Running, writing: "asyncio.Task[None]") -> Ending:
        """Ask, until the answer is there, the customer stops it, or the turn is lost."""
        writer = running.writer
        if writer.stopped.is_set():
            return Ending("stopped")  # adopted with its mark: the model is not asked
        asking = asyncio.create_task(
            self._asking.ask(
                job,
                writer,
                lambda frame: self._show(writer.feed, frame),
                lambda: self._background(self._renew(job.conversation, running, asks=True)),
            )
        )
        stopped = asyncio.create_task(writer.stopped.wait())
        lost = asyncio.create_task(running.lost.wait())
        try:
            await asyncio.wait(
                {asking, stopped, lost, writing}, return_when=asyncio.FIRST_COMPLETED
            )
            if writing.done():
                writing.result()
            if running.lost.is_set():
                raise TurnLost(f"{job.conversation}: another worker owns the turn")
            return asking.result() if asking.done() else Ending("stopped")
        finally:
            for task in (asking, stopped, lost):
                await _end(task)

    async def _finish(self, job: Job, writer: AnswerWriter, ending: Ending) -> OpenTurn | None:
        notice = b""
        if ending.notice:
            language = await self._context.language(job.conversation, job.turn)
            code, contact = ending.notice, job.site.contact
            if not contact and f"{code}_no_contact" in CODES:
                code = f"{code}_no_contact"
            said = words(code, language, contact=contact, **ending.values)
            notice = wire.notice(ending.notice, said, language)
        return await writer.finish(ending.reason, sources=ending.sources, notice=notice)


async def _beside(guard: "asyncio.Task[None]", wanted: Coroutine[Any, Any, T]) -> T:
    """What ``wanted`` returns; the guard's error, should that end first."""
    task = asyncio.create_task(wanted)
    try:
        await asyncio.wait({guard, task}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            guard.result()
        return await task
    finally:
        await _end(task)


async def _end(task: "asyncio.Task[Any]") -> None:
    """Cancel ``task``, and wait until it has ended; how it ended was looked at already."""
    task.cancel()
    await asyncio.wait({task})  # not `await task`: that would swallow a cancellation of our own
    if not task.cancelled():
        task.exception()
