"""Writes the trace that the checker reads: what clients saw, and what Redis did.

    with Recorder(path) as recorder:
        async with Watch(valkey.url, recorder) as watch:
            client = await RecordedClient(recorder, url, name="anna").start()
            ...
            await watch.final()
        recorder.end()

A `RecordedClient` is the tests' own client, which writes down each message as it is sent or heard,
before anything looks at it. A `Watch` (`watch.py`) follows Redis past every proxy.
"""

import itertools
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import WebSocketException

from tests.support.client import Client


class Recorder:
    """One trace, written line by line, so that it is there however the run ends."""

    def __init__(self, path: Path, **about: Any) -> None:
        self._file = path.open("w", buffering=1, encoding="utf-8")
        self._numbers = itertools.count(1)
        self.write("run", about=about)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, k: str, *, t: float | None = None, **fields: Any) -> None:
        record = {"k": k, "t": time.time() if t is None else t} | fields
        self._file.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")

    def socket(self) -> int:
        """A number for a new socket."""
        return next(self._numbers)

    def fault(self, what: str, whom: str) -> None:
        """Something was done to the system."""
        self.write("fault", what=what, whom=whom)

    def workers(self, pids: Iterable[int], when: str) -> None:
        """How much each worker holds ``before`` or ``after`` the run (Linux: elsewhere nothing)."""
        for pid in pids:
            with suppress(OSError):
                counts = {
                    "files": len(list(Path(f"/proc/{pid}/fd").iterdir())),
                    "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
                }
                self.write("worker", worker=str(pid), when=when, counts=counts)

    def end(self) -> None:
        """The run ended in order, and everything had come to rest."""
        self.write("end")


# -- clients ----------------------------------------------------------------------------------


class RecordedClient(Client):
    """A client whose every message is in the trace, under its ``name``."""

    def __init__(self, recorder: Recorder, url: str, *, name: str, **more: Any) -> None:
        super().__init__(url, **more)
        self.name = name
        self._recorder = recorder
        self._number = 0

    async def start(self, **more: Any) -> "RecordedClient":
        await super().start(**more)
        self._recorder.write(
            "session", client=self.name, conversation=self.session["conversation"],
            resumed=self.session["resumed"],
        )  # fmt: skip
        return self

    async def share(self, other: "RecordedClient") -> "RecordedClient":
        """Another tab: the session of ``other``, and a view of its own."""
        self.session = dict(other.session)
        self._recorder.write(
            "session", client=self.name, conversation=self.session["conversation"], resumed=True
        )
        return self

    async def connect(self, **more: Any) -> None:
        self._number = self._recorder.socket()
        self._recorder.write("open", client=self.name, socket=self._number)
        try:
            await super().connect(**more)
        except (OSError, WebSocketException):
            self._recorder.write("closed", client=self.name, socket=self._number, code=0)
            raise

    async def say(self, *frames: Any) -> None:
        for frame in frames:
            text = frame if isinstance(frame, str | bytes) else json.dumps(frame)
            shown = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
            self._recorder.write("sent", client=self.name, socket=self._number, text=shown)
            await super().say(text)

    def _read(self, socket: ClientConnection) -> Any:
        return self._heard(socket, self._number)

    async def _heard(self, socket: ClientConnection, number: int) -> None:
        try:
            await super()._read(_Tap(socket, self, number))  # type: ignore[arg-type]
        finally:
            code = socket.close_code or 1006
            self._recorder.write("closed", client=self.name, socket=number, code=code)

    def heard(self, message: str | bytes, number: int) -> None:
        text = message if isinstance(message, str) else message.decode("utf-8", "backslashreplace")
        self._recorder.write("got", client=self.name, socket=number, text=text)


class _Tap:
    """A socket whose messages are written down before they are read."""

    def __init__(self, socket: ClientConnection, client: RecordedClient, number: int) -> None:
        self._socket = socket
        self._client = client
        self._number = number

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        async for message in self._socket:
            self._client.heard(message, self._number)
            yield message
