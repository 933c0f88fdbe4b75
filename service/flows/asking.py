"""Asking the model: permit, request, and again where a retry helps.

Each request is made inside its own permit, from before the connection to after the last byte. What
fails before the customer has seen a word may be asked again, at the head of the queue, where
`core/retries.py` says so. What fails after that keeps the words and says that it failed. Whatever
happens, there is an Ending: no customer is left without an answer, or the reason for none.
"""

import asyncio
import time
from collections.abc import Callable
from random import Random

import msgspec
import structlog

from service.core import wire
from service.core.errors import ModelCutOff, ModelError, ModelRefused
from service.core.model import Finished, ModelRequest, TextDelta, ToolCalls
from service.core.permit_errors import (
    PermitError,
    PermitLost,
    PermitsUnavailable,
    PermitTimeout,
)
from service.core.prompt import Prompt
from service.core.retries import GiveUp, Retry, Tries, decide
from service.core.seam import Seam, Step
from service.flows.context import Context
from service.flows.job import Ending, Job
from service.flows.ports import Model, Permits
from service.flows.writer import AnswerWriter

ATTEMPTS = 3  # requests that ended without an answer, over all owners; then words, not a fourth
PERMITS_AWAY_S = 0.5  # between tries while the permits cannot be reached
MINUTE_MS = 60_000
INTERRUPTED = ("network_error", "sensitive")  # no end of the answer: what it did not say may stay

log = structlog.get_logger("parley.asking")

Show = Callable[[bytes], None]  # shows a frame in passing on every socket of the conversation


class Patience:
    """How long one turn may go on asking, and what came of it so far."""

    def __init__(self, wait_s: float) -> None:
        self.since = time.monotonic()
        self.deadline = self.since + wait_s
        self.tries = Tries()
        self.asked = False  # queues at the head from now on

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()


class Asking:
    """Asks the model for a turn's answer and hands its text to the turn's writer."""

    def __init__(
        self,
        *,
        permits: Permits,
        model: Model,
        context: Context,
        queue_wait_s: float,
        user_id: Callable[[str], str],
    ) -> None:
        self._permits = permits
        self._model = model
        self._context = context
        self._queue_wait_s = queue_wait_s
        self._user_id = user_id
        self._random = Random()

    async def ask(self, job: Job, writer: AnswerWriter, show: Show) -> Ending:
        """Requests to the model, until one is answered or no further one helps."""
        if job.turn.attempt > ATTEMPTS:
            return Ending("failed", notice="answer_failed")
        patience = Patience(self._queue_wait_s)
        while True:
            try:
                prompt = await self._context.prompt(
                    job.site, job.conversation, job.turn, shrink=patience.tries.shrunk
                )
                return await self._request(job, writer, prompt, patience, show)
            except ModelError as error:
                await writer.settled()
                shown = writer.text != job.shown
                decision = self._decide(job, error, patience, shown=shown)
                if isinstance(decision, GiveUp):
                    return _refusal(error)
                await asyncio.sleep(decision.delay_s)
            except (PermitsUnavailable, PermitLost):
                if patience.left_s <= 0:
                    return Ending("failed", notice="answer_failed")
                await asyncio.sleep(PERMITS_AWAY_S)
            except PermitError as error:
                log.warning("permit", conversation=job.conversation, code=error.code)
                return _no_permit(error)

    def _decide(
        self, job: Job, error: ModelError, patience: Patience, *, shown: bool
    ) -> Retry | GiveUp:
        tries = msgspec.structs.replace(patience.tries, shown=shown)
        decision = decide(error, tries, left_s=patience.left_s, chance=self._random.random())
        patience.tries = patience.tries.after(error)
        patience.asked = True
        log.warning(
            "model", conversation=job.conversation, code=error.code,
            provider_code=error.provider_code, tries=patience.tries.failed,
            again=isinstance(decision, Retry), detail=str(error)[:200],
        )  # fmt: skip
        return decision

    async def _request(
        self, job: Job, writer: AnswerWriter, prompt: Prompt, patience: Patience, show: Show
    ) -> Ending:
        """One request inside one permit."""

        waits = False

        def place(position: int, eta_ms: int) -> None:
            nonlocal waits
            if not waits:
                waits = True
                show(wire.answer_status(job.turn.m, "queued"))
            show(wire.queue_updated(position, eta_ms))

        async with self._permits.acquire(
            flow=job.flow,
            priority="live",
            deadline=patience.deadline,
            place=place,
            since=patience.since if patience.asked else None,
        ) as permit:
            show(wire.answer_status(job.turn.m, "thinking"))
            request = ModelRequest(
                messages=prompt.messages,
                max_tokens=self._context.answer_tokens(job.site),
                user_id=self._user_id(job.conversation),
                request_id=f"{permit.id}-{job.turn.m}"[-64:],
            )
            try:
                finished = await self._stream(request, permit.deadline, writer, job.shown)
            except ModelError as error:
                permit.outcome = error.provider_code or "aborted"
                raise
            permit.outcome = "ok"
        return _ending(finished)

    async def _stream(
        self, request: ModelRequest, deadline: float, writer: AnswerWriter, shown: str
    ) -> Finished:
        """One answer, into the writer. One that is told anew meets the shown text at a seam."""
        seam = Seam(shown) if shown else None
        finished, said = None, False
        async with self._model.stream(request, deadline=deadline) as events:
            async for event in events:
                match event:
                    case TextDelta(text=text):
                        said = said or bool(text)
                        _take(writer, seam.add(text) if seam else Step(None, text))
                    case ToolCalls():
                        continue  # none are offered
                    case Finished():
                        finished = event
        if finished is None:
            raise ModelCutOff("the answer ended without its end")
        if not said and finished.reason in ("stop", "tool_calls"):
            raise ModelCutOff("an answer without text")
        if seam is not None and finished.reason not in INTERRUPTED:
            _take(writer, seam.end())
        return finished


def _take(writer: AnswerWriter, step: Step) -> None:
    if step.cut is not None:
        writer.cut(step.cut)
    writer.add(step.text)


def _ending(finished: Finished) -> Ending:
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


def _no_permit(error: PermitError) -> Ending:
    if isinstance(error, PermitTimeout):
        return Ending("failed", notice="permit_timeout")
    minutes = max(1, round(error.eta_ms / MINUTE_MS))
    return Ending("failed", notice="queue_too_long", values={"minutes": minutes})
