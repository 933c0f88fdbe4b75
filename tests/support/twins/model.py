"""A model that says what a test wrote down for it.

Each request takes the next script, a list of what happens. A string is a piece of the answer, an
exception is raised, an `asyncio.Event` is waited for. A `Finished` says how the answer ends (in
good order, "stop", where there is none), and CUT ends the stream without its end.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from service.core.errors import ModelError
from service.core.model import Finished, ModelEvent, ModelRequest, TextDelta, ToolCalls, Usage

Happening = str | ModelError | ToolCalls | Finished | asyncio.Event | None
CUT = None  # the stream is over, without its end


class ScriptedModel:
    """Fits ``flows.ports.Model``. It remembers every request and how each connection ended."""

    def __init__(self, *scripts: Sequence[Happening]) -> None:
        self.scripts = [list(script) for script in scripts]
        self.requests: list[ModelRequest] = []
        self.open = 0  # connections at this moment
        self.most_open = 0
        self.cut = 0  # connections that our side closed before the answer's end

    @property
    def said(self) -> list[str]:
        """The customers' and the assistant's words of the newest request, in order."""
        messages = self.requests[-1].messages
        return [message["content"] for message in messages if message["role"] != "system"]

    @asynccontextmanager
    async def stream(
        self, request: ModelRequest, *, deadline: float
    ) -> AsyncIterator[AsyncIterator[ModelEvent]]:
        self.requests.append(request)
        script = self.scripts.pop(0) if self.scripts else ["I have nothing more to say."]
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        ended = False

        async def events() -> AsyncIterator[ModelEvent]:
            nonlocal ended
            finished: ModelEvent = Finished("stop", Usage())
            for happening in script:
                await asyncio.sleep(0)
                if isinstance(happening, str):
                    yield TextDelta(happening)
                elif isinstance(happening, ToolCalls):
                    yield happening
                elif isinstance(happening, asyncio.Event):
                    await happening.wait()
                elif isinstance(happening, Finished):
                    finished = happening
                else:
                    ended = True
                    if happening is not None:
                        raise happening
                    return
            ended = True
            yield finished

        try:
            yield events()
        finally:
            self.open -= 1
            self.cut += not ended
