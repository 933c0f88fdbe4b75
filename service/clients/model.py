"""The model's streaming API: one attempt a call, every way to fail told in our errors.

`requests` says what is sent, `transport` through which connections, `exchange` reads what comes,
`answers` makes events of it, `patience` ends the wait, `provider_errors` names what went wrong.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from service.clients import provider_errors, requests, transport
from service.clients.exchange import Exchange
from service.clients.patience import Patience, Watch
from service.core.errors import ModelUnreachable, SettingError
from service.core.model import ModelEvent, ModelRequest

SECRET_CHARS = 8  # shorter pieces of a key are no secret, and would blot out innocent text


class GlmModel:
    """GLM-4-FlashX, or any endpoint that speaks its API. Fits the `Model` of flows/ports.py."""

    def __init__(
        self, client: httpx.AsyncClient, url: str, key: str, model: str, patience: Patience
    ) -> None:
        self._client = client
        self._url = requests.url(url)
        self._secrets = [part for part in (key, *key.split(".")) if len(part) >= SECRET_CHARS]
        self._model = model
        self._patience = patience

    def __repr__(self) -> str:
        return f"GlmModel({self._model!r})"

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, key: str, model: str, tier: int, *, patience: Patience | None = None
    ) -> AsyncIterator["GlmModel"]:
        """The model at ``url`` for as long as the context lasts; nothing is asked of it yet.

        Raises SettingError for a key that cannot stand in a header.
        """
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise SettingError(
                "PARLEY_MODEL_KEY: wants the account's key, letters and signs without a space, "
                "such as PARLEY_MODEL_KEY=0123abcd.4567efgh"
            )
        patience = patience or Patience()
        headers = {"authorization": f"Bearer {key}"}
        async with transport.open_client(
            headers, tier=tier, connect_s=patience.connect_s
        ) as client:
            yield cls(client, url, key, model, patience)

    @asynccontextmanager
    async def stream(
        self, request: ModelRequest, *, deadline: float
    ) -> AsyncIterator[AsyncIterator[ModelEvent]]:
        """Events of one answer: text deltas, tool calls, at last exactly one Finished.

        Entering waits for the answer to begin. Leaving closes the connection at once, unless the
        answer has ended. ``deadline`` is in time.monotonic() seconds. Raises ModelError.
        """
        started = time.monotonic()
        response = await self._send(request, started, deadline)
        watch = Watch(response, started, deadline, self._patience)
        exchange = Exchange(response, watch, self._secrets)
        events = exchange.events()
        try:
            if response.status_code != 200:
                raise await exchange.refusal()
            yield events
        finally:
            await exchange.leave()
            with contextlib.suppress(RuntimeError):  # another task still stands in it
                await events.aclose()

    async def _send(self, request: ModelRequest, started: float, deadline: float) -> httpx.Response:
        """The response once its headers are there."""
        left = min(started + self._patience.first_s, deadline) - started
        if left <= 0:
            raise ModelUnreachable("the request's deadline had passed before it was sent")
        body = requests.body(request, self._model)
        try:
            async with asyncio.timeout(left):
                post = self._client.build_request(
                    "POST",
                    self._url,
                    content=requests.content(body),
                    headers={"content-length": str(len(body))},  # in pieces or not: never chunked
                )
                return await self._client.send(post, stream=True)
        except TimeoutError as error:
            raise ModelUnreachable(f"no answer from the model's API in {left:.1f} s") from error
        except provider_errors.WIRE as error:
            named = provider_errors.of_wire(error)
            raise provider_errors.without(named, self._secrets) from error
