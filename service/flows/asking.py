"""Asking the model: permit, request, and again where a retry helps.

Each request is made inside its own permit, from before the connection to after the last byte. What
fails before the customer has seen a word may be asked again, at the head of the queue, where
`core/retries.py` says so. What fails after that keeps the words and says that it failed. Whatever
happens, there is an Ending: no customer is left without an answer, or the reason for none.

An adopted answer with some text is not asked for again: the model is asked to go on with it. Should
it begin anew instead (`core/seam.py`), that request is cut, before anything of it is shown, and the
whole answer is asked for as if nothing had been shown. The same where an endpoint does not take a
request that ends with the assistant's words. Neither is a failure: it counts as no try, and keeps
the turn's place. That place is the head of the queue from the first request on, by the time at
which the turn began: an adopted one has waited already, with another worker.
"""

import asyncio
import time
from collections.abc import Callable
from random import Random

import msgspec
import structlog

from service.core import wire
from service.core.errors import ModelCutOff, ModelError, ModelRefused, ModelRejected
from service.core.model import Finished, ModelRequest, TextDelta, ToolCalls
from service.core.permit_errors import (
    PermitError,
    PermitLost,
    PermitsUnavailable,
    PermitTimeout,
)
from service.core.prompt import Prompt
from service.core.retries import GiveUp, Retry, Tries, decide
from service.core.seam import HELD, Retelling, Seam, Step
from service.flows.context import Context
from service.flows.job import Ending, Job
from service.flows.ports import Model, Permit, Permits
from service.flows.writer import AnswerWriter

ATTEMPTS = 3  # owners that had asked the model and are gone; then words, not a fourth
PERMITS_AWAY_S = 0.5  # between tries while the permits cannot be reached
MINUTE_MS = 60_000
INTERRUPTED = ("network_error", "sensitive")  # no end of the answer, and of its seam none either
CUT_SHORT = ("length", "model_context_window_exceeded")  # what it did not say again may stay
LONGEST_WAIT_S = 3600.0  # a worker's clock and Redis' that differ by more are no measure of a wait

log = structlog.get_logger("parley.asking")

Telling = Seam | Retelling
Show = Callable[[bytes], None]  # shows a frame in passing on every socket of the conversation


class Patience:
    """How long one turn may go on asking, and what came of it so far."""

    def __init__(self, wait_s: float, job: Job, sends: Callable[[], None]) -> None:
        self.sends = sends
        now, adopted = time.monotonic(), job.turn.attempt > 1
        self.since = now - (_waited_s(job) if adopted else 0.0)
        self.deadline = now + wait_s
        self.tries = Tries()
        self.asked = adopted  # queues at the head from now on
        # What the model is asked to go on with; "": it is asked to tell it all.
        self.continued = job.shown if len(job.shown) >= HELD else ""

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()

    def anew(self) -> None:
        """The model does not go on with what there is: it shall tell it all."""
        self.asked, self.continued = True, ""


def _waited_s(job: Job) -> float:
    """How long the turn has been waiting with others, by the server's clock and by ours."""
    waited_s = time.time() - job.turn.since_ms / 1000 if job.turn.since_ms else 0.0
    return min(max(0.0, waited_s), LONGEST_WAIT_S)


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

    async def ask(
        self, job: Job, writer: AnswerWriter, show: Show, sends: Callable[[], None]
    ) -> Ending:
        """Requests to the model, until one is answered or no further one helps.

        ``sends`` is called for each request as it is sent: from then on the attempt counts.
        """
        if job.turn.spent >= ATTEMPTS:
            return Ending("failed", notice="answer_failed")
        patience = Patience(self._queue_wait_s, job, sends)
        while True:
            try:
                prompt = await self._context.prompt(
                    job.site, job.conversation, job.turn,
                    shrink=patience.tries.shrunk, continued=patience.continued,
                )  # fmt: skip
                ending = await self._request(job, writer, prompt, patience, show)
                if ending is not None:
                    return ending
                patience.anew()
                log.info("asked anew", conversation=job.conversation, m=job.turn.m)
            except ModelError as error:
                if patience.continued and isinstance(error, ModelRejected):
                    patience.anew()
                    log.warning("not continued", conversation=job.conversation, code=error.code)
                    continue
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
    ) -> Ending | None:
        """One request inside one permit. None where it is to be asked anew."""

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
            patience.sends()
            telling = Seam(job.shown) if patience.continued else Retelling(job.shown)
            try:
                finished = await self._stream(request, permit, writer, telling)
            except ModelError as error:
                permit.outcome = error.provider_code or "aborted"
                raise
        return None if finished is None else _ending(finished)

    async def _stream(
        self, request: ModelRequest, permit: Permit, writer: AnswerWriter, telling: Telling
    ) -> Finished | None:
        """One answer, into the writer: it meets the shown text at a seam. None where it is of no
        use there, and nothing of it was written; the connection is closed then."""
        finished, said = None, False
        async with self._model.stream(request, deadline=permit.deadline) as events:
            async for event in events:
                match event:
                    case TextDelta(text=text):
                        said = said or bool(text)
                        if _take(writer, telling.add(text)):
                            permit.outcome = "aborted"
                            return None
                    case ToolCalls():
                        continue  # none are offered
                    case Finished():
                        finished = event
        if finished is None:
            raise ModelCutOff("the answer ended without its end")
        may_be_silent = isinstance(telling, Seam)  # there may be nothing left to say
        if not said and not may_be_silent and finished.reason in ("stop", "tool_calls"):
            raise ModelCutOff("an answer without text")
        permit.outcome = "ok"
        if finished.reason not in INTERRUPTED:
            step = telling.end(whole=finished.reason not in CUT_SHORT)
            if _take(writer, step):
                return None
        return finished


def _take(writer: AnswerWriter, step: Step) -> bool:
    """Write what the seam says. Whether the answer is to be asked anew."""
    if step.cut is not None:
        writer.cut(step.cut)
    writer.add(step.text)
    return step.anew


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
