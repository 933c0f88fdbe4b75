"""One turn: a customer's messages, to the assistant's complete answer.

The log opened the turn in the step that accepted the message, so it exists before anything here
runs. From then on this worker owns it: it builds the context, waits for a permit, streams from the
model, and writes what comes. Three things go on side by side:

* *asking*: permit, request, and again where a retry helps. Each request is made inside its own
  permit, from before the connection to after the last byte.
* *writing* (`writer.py`): text becomes logged deltas. Nothing is shown that is not in the log.
* *holding*: one task for all turns of the worker renews their leases.

Each can end the turn. Asking ends it with the answer, or with words for why there is none. Writing
and holding end it with TurnLost, when another worker has adopted the turn: then this one writes
nothing any more. And the customer ends it with a stop, which arrives as a hint, or as a mark in the
reply to any write: asking is cancelled, which closes the connection to the model, and the answer is
finished with what it has.

A turn goes on when the customer leaves, and when Redis is away. `finish` may open the next turn,
for messages that came meanwhile, in its own step; it is run here too.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from random import Random
from typing import Any, TypeVar

import msgspec
import structlog

from service.core import wire
from service.core.errors import (
    ConversationGone,
    ModelContextTooLong,
    ModelCutOff,
    ModelError,
    ModelRefused,
    PermitError,
    PermitsUnavailable,
    StepMissing,
    StoreError,
    TurnLost,
)
from service.core.model import (
    Finished,
    ModelRequest,
    OpenTurn,
    Position,
    Site,
    Source,
    TextDelta,
    ToolCalls,
)
from service.core.prompt import Prompt
from service.core.retries import GiveUp, decide
from service.core.seam import Seam
from service.core.texts import text as words
from service.flows.context import Context
from service.flows.feed import Feed, Feeds
from service.flows.ports import Log, Model, Permits
from service.flows.writer import AnswerWriter

RENEW_S = 0.8  # a lease lives 3 s: three renewals may be lost
ATTEMPTS = 3  # requests that ended without an answer, over all owners; then words, not a fourth
PERMITS_AWAY_S = 0.5  # between tries while the permits cannot be reached

log = structlog.get_logger("parley.turn")
T = TypeVar("T")


class Job(msgspec.Struct, frozen=True):
    """A turn to run. ``flow`` is who asks, for fairness.

    An adopted turn comes with the text it had shown and the position it was adopted at.
    """

    conversation: str
    site: Site
    turn: OpenTurn
    flow: str
    shown: str = ""
    position: Position | None = None


class Ending(msgspec.Struct, frozen=True):
    """How the answer ends: the reason on the wire, sources, and a notice's code, or ""."""

    reason: str
    sources: tuple[Source, ...] = ()
    notice: str = ""
    values: dict[str, object] = {}


class Running:
    """A turn while it runs here: what renewals and stops need of it."""

    def __init__(self, writer: AnswerWriter) -> None:
        self.writer = writer
        self.asking: asyncio.Task[Ending] | None = None
        self.lost = asyncio.Event()


class Turns:
    """The turns that this worker owns."""

    def __init__(
        self,
        *,
        log: Log,
        feeds: Feeds,
        permits: Permits,
        model: Model,
        context: Context,
        queue_wait_s: float,
        user_id: Callable[[str], str],
    ) -> None:
        self._log = log
        self._feeds = feeds
        self._permits = permits
        self._model = model
        self._context = context
        self._queue_wait_s = queue_wait_s
        self._user_id = user_id
        self._random = Random()
        self._running: dict[str, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.ended: Callable[[str], None] = lambda reason: None  # for metrics
        feeds.stopped = self.stop
        feeds.asked = self.show_again

    def __len__(self) -> int:
        return len(self._tasks)

    def runs(self, conversation: str) -> bool:
        return conversation in self._running

    def start(self, job: Job) -> None:
        """Run ``job`` and the turns that follow from it; nothing where one runs here already."""
        if job.conversation in self._running:
            return
        task = asyncio.create_task(self._run(job), name=f"turn {job.conversation}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self, conversation: str, m: int) -> None:
        """The customer wants answer ``m`` to stop."""
        running = self._running.get(conversation)
        if running is not None and running.writer.turn.m == m:
            running.writer.stopped.set()

    def show_again(self, conversation: str) -> None:
        """A socket came elsewhere: show there what is shown in passing."""
        running = self._running.get(conversation)
        if running is not None:
            task = asyncio.create_task(self._show_again(running))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _show_again(self, running: Running) -> None:
        feed = running.writer.feed
        for frame in feed.latest():
            await self._feeds.show(feed, frame)

    async def hold(self) -> None:
        """Renew the leases of all turns here, for ever."""
        while True:
            await asyncio.sleep(RENEW_S)
            await asyncio.gather(*(self._renew(*item) for item in list(self._running.items())))

    async def drain(self, timeout_s: float) -> int:
        """Let running turns end; those that do not in time are left to whoever adopts them."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

    async def _renew(self, conversation: str, running: Running) -> None:
        try:
            if await self._log.renew(conversation, running.writer.turn):
                running.writer.stopped.set()
        except TurnLost:
            running.lost.set()
        except StoreError:
            return  # the lease may run out meanwhile; it is revived where nobody adopted the turn

    # -- one turn after the other ---------------------------------------------------------

    async def _run(self, job: Job) -> None:
        conversation = job.conversation
        try:
            async with self._feeds.use(conversation) as feed:
                if job.position is not None:
                    feed.begin(job.position.epoch, job.position.offset, open=True)
                following: Job | None = job
                while following is not None:
                    following = await self._answer(following, feed)
        except (TurnLost, ConversationGone, StepMissing) as error:
            log.warning("turn lost", conversation=conversation, code=error.code)
        except StoreError as error:
            log.warning("turn left to be adopted", conversation=conversation, code=error.code)
        finally:
            self._running.pop(conversation, None)

    async def _answer(self, job: Job, feed: Feed) -> Job | None:
        started = time.monotonic()
        writer = AnswerWriter(self._log, self._feeds, feed, job.turn, job.shown)
        running = self._running[job.conversation] = Running(writer)
        async with AsyncExitStack() as stack:
            writing = asyncio.create_task(writer.run())
            stack.push_async_callback(_end, writing)
            ending = await self._guard(job, running, writing)
            following = await _while(writing, self._finish(job, writer, ending))
        self.ended(ending.reason)
        log.info(
            "answer", conversation=job.conversation, site=job.site.key, m=job.turn.m,
            reason=ending.reason, notice=ending.notice, units=wire.units(writer.text),
            seconds=round(time.monotonic() - started, 3),
        )  # fmt: skip
        if following is None:
            return None
        return msgspec.structs.replace(job, turn=following, shown="")

    async def _guard(self, job: Job, running: Running, writing: "asyncio.Task[None]") -> Ending:
        """Ask, until the answer is there, the customer stops it, or the turn is lost."""
        asking = running.asking = asyncio.create_task(self._ask(job, running.writer))
        stopped = asyncio.create_task(running.writer.stopped.wait())
        lost = asyncio.create_task(running.lost.wait())
        try:
            await asyncio.wait(
                {asking, stopped, lost, writing}, return_when=asyncio.FIRST_COMPLETED
            )
            if writing.done():
                writing.result()
            if running.lost.is_set():
                raise TurnLost(f"{job.conversation}: another worker owns the turn")
            if asking.done():
                return asking.result()
            return Ending("stopped")
        finally:
            for task in (asking, stopped, lost):
                await _end(task)

    async def _finish(self, job: Job, writer: AnswerWriter, ending: Ending) -> OpenTurn | None:
        notice = b""
        if ending.notice:
            language = await self._context.language(job.conversation, job.turn)
            code = ending.notice
            if code + "_no_contact" in NO_CONTACT and not job.site.contact:
                code += "_no_contact"
            said = words(code, language, contact=job.site.contact, **ending.values)
            notice = wire.notice(ending.notice, said, language)
        return await writer.finish(ending.reason, sources=ending.sources, notice=notice)

    # -- asking ---------------------------------------------------------------------------

    async def _ask(self, job: Job, writer: AnswerWriter) -> Ending:
        """Requests to the model, until one is answered or no further one helps."""
        if job.turn.attempt > ATTEMPTS:
            return Ending("failed", notice="answer_failed")
        since, tries, shrink = time.monotonic(), 0, False
        while True:
            prompt = await self._context.prompt(job.site, job.conversation, job.turn, shrink=shrink)
            try:
                return await self._request(job, writer, prompt, since, again=tries > 0)
            except ModelError as error:
                await writer.settled()
                tries += 1
                shown = len(writer.text) > len(job.shown)
                decision = decide(error, tries=tries, shown=shown, draw=self._random.random())
                log.warning(
                    "model", conversation=job.conversation, code=error.code, tries=tries,
                    provider_code=error.provider_code, detail=str(error)[:200],
                )  # fmt: skip
                if isinstance(decision, GiveUp):
                    return _refusal(error)
                shrink = shrink or isinstance(error, ModelContextTooLong)
                await asyncio.sleep(decision.delay_s)
            except PermitsUnavailable:
                if time.monotonic() > since + self._queue_wait_s:
                    return Ending("failed", notice="answer_failed")
                await asyncio.sleep(PERMITS_AWAY_S)
            except PermitError as error:
                log.warning("permit", conversation=job.conversation, code=error.code)
                minutes = max(1, round(error.eta_ms / 60_000))
                return Ending("failed", notice="queue_too_long", values={"minutes": minutes})

    async def _request(
        self, job: Job, writer: AnswerWriter, prompt: Prompt, since: float, *, again: bool
    ) -> Ending:
        """One request inside one permit."""
        feed, m = writer.feed, job.turn.m
        deadline = since + self._queue_wait_s

        def place(position: int, eta_ms: int) -> None:
            self._show(feed, wire.queue_updated(position, eta_ms))

        async with self._permits.acquire(
            flow=job.flow, priority="live", deadline=deadline, place=place,
            since=since if again else None,
        ) as permit:  # fmt: skip
            self._show(feed, wire.answer_status(m, "thinking"))
            request = ModelRequest(
                messages=prompt.messages,
                max_tokens=self._context.answer_tokens(job.site),
                user_id=self._user_id(job.conversation),
                request_id=f"{permit.id}-{m}"[:64].rjust(6, "0"),
            )
            try:
                finished = await self._stream(request, permit.deadline, writer, job.shown)
            except ModelError as error:
                permit.outcome = error.provider_code or "aborted"
                raise
            permit.outcome = "ok"
        return _ending(finished, writer)

    async def _stream(
        self, request: ModelRequest, deadline: float, writer: AnswerWriter, shown: str
    ) -> Finished:
        seam = Seam(shown)
        finished: Finished | None = None
        async with self._model.stream(request, deadline=deadline) as events:
            async for event in events:
                match event:
                    case TextDelta(text=text):
                        step = seam.add(text) if shown else None
                        if step is not None and step.cut is not None:
                            writer.cut(step.cut)
                        writer.add(text if step is None else step.text)
                    case ToolCalls():
                        continue  # none are offered
                    case Finished():
                        finished = event
        if finished is None:
            raise ModelCutOff("the answer ended without its end")
        rest = seam.end()
        if shown and rest.cut is not None:
            writer.cut(rest.cut)
        if writer.empty and finished.reason in ("stop", "tool_calls"):
            raise ModelCutOff("an answer without text")
        return finished

    def _show(self, feed: Feed, frame: bytes) -> None:
        task = asyncio.create_task(self._feeds.show(feed, frame))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


# Notices that have a wording of their own for a site without a contact.
NO_CONTACT = {"answer_failed_no_contact", "handoff_unavailable_no_contact"}


def _ending(finished: Finished, writer: AnswerWriter) -> Ending:
    """What the provider's own word for the end means on the wire."""
    match finished.reason:
        case "length" | "model_context_window_exceeded":
            return Ending("length", finished.sources)
        case "sensitive":
            return Ending("withdrawn", notice="answer_withdrawn")
        case "network_error":
            return Ending("failed", notice="answer_failed")
    return Ending("stop", finished.sources)


def _refusal(error: ModelError) -> Ending:
    if isinstance(error, ModelRefused):
        return Ending("withdrawn", notice="answer_refused")
    return Ending("failed", notice="answer_failed")


async def _end(task: "asyncio.Task[object]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task


async def _while(guard: "asyncio.Task[None]", wanted: Coroutine[Any, Any, T]) -> T:
    """What ``wanted`` returns; the guard's error, should that end first."""
    task = asyncio.create_task(wanted)
    try:
        await asyncio.wait({guard, task}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            guard.result()
        return await task
    finally:
        await _end(task)
