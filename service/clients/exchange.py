"""One request's response while it is being read: the only I/O of the token path."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence

import httpx

from service.clients import provider_errors
from service.clients.answers import AnswerReader
from service.clients.patience import Watch, shut
from service.clients.provider_errors import WIRE
from service.core.errors import ModelCutOff, ModelError
from service.core.model import ModelEvent

BODY_BYTES = 1 << 20  # of an answer in one piece; an error's is some 100 bytes
LAST_BYTE_S = 0.25  # after [DONE]: time for the connection's end, so that it can be used again


class Exchange:
    """A response whose headers are there; ``watch`` closes it when its time is over.

    ``secrets`` are blotted out of the provider's texts.
    """

    def __init__(self, response: httpx.Response, watch: Watch, secrets: Sequence[str]) -> None:
        self._response = response
        self._watch = watch
        self._secrets = secrets
        self._reader = AnswerReader()
        encoded = response.headers.get("content-encoding", "identity") != "identity"
        # Not `aiter_raw`: two layers fewer for each model token.
        self._bytes = aiter(response.aiter_bytes() if encoded else response.stream)  # type: ignore[arg-type]

    async def events(self) -> AsyncGenerator[ModelEvent, None]:
        """The answer's events. Raises ModelError, after the text that came before it."""
        reader, watch = self._reader, self._watch
        kind = self._response.headers.get("content-type", "")
        if "json" in kind or "html" in kind:
            for event in reader.whole(await self._whole()):
                yield event
        else:
            progress = 0
            try:
                async for raw in self._bytes:
                    events = reader.feed(raw)
                    if reader.progress != progress:
                        progress = reader.progress
                        watch.heard()
                        for event in events:
                            yield event
                        watch.wait()
                    if reader.done or reader.error is not None:
                        break
            except WIRE as error:
                raise watch.expired or ModelCutOff(_lost(error)) from error
            if watch.expired is not None:
                raise watch.expired
            for event in reader.close():
                yield event
        if reader.error is not None:
            raise provider_errors.without(reader.error, self._secrets)

    async def refusal(self) -> ModelError:
        """The error that an answer with another status than 200 is."""
        error = provider_errors.of_answer(await self._whole(), self._response.status_code)
        return provider_errors.without(error, self._secrets)

    async def leave(self) -> None:
        """Free the connection: for another request after an orderly end, else by closing it."""
        if self._reader.done and self._watch.expired is None:
            with contextlib.suppress(TimeoutError, RuntimeError, *WIRE):
                async with asyncio.timeout(LAST_BYTE_S):
                    async for _ in self._bytes:
                        pass
        self._watch.stop()
        await shut(self._response)
        with contextlib.suppress(StopAsyncIteration, RuntimeError, *WIRE):
            await anext(self._bytes)  # lets the generators below see that it is over

    async def _whole(self) -> bytes:
        """The body, as far as it comes: even a piece of it may name an error."""
        body = bytearray()
        with contextlib.suppress(*WIRE):
            async for raw in self._bytes:
                body += raw
                if len(body) > BODY_BYTES:
                    break
        return bytes(body)


def _lost(error: Exception) -> str:
    return f"the connection was lost in mid-answer: {type(error.__cause__ or error).__name__}"
