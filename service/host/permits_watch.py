"""Where reports go: to a terminal's own screen, line by line to a pipe, or as JSON to a program."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol

import msgspec

from service.core.errors import SettingError, StoreError
from service.host.addresses import shown
from service.host.permits_report import Report
from service.host.permits_screen import ASCII, BLOCKS, Terminal, draw

WATCH_S = 1.0
PATIENCE_S = 2.0  # a Redis that is there answers within milliseconds
# A screen of one's own, without a cursor, and back to the one before.
BEGIN, END = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
HOME, REST_OF_LINE, REST = "\x1b[H", "\x1b[K", "\x1b[J"
HEIGHT, WIDTH = 24, 80  # where nobody says


class Shown(Protocol):
    """Something that shows reports; a context, so that what it changed is put back."""

    def report(self, report: Report) -> None: ...

    def trouble(self, line: str) -> None: ...

    def __enter__(self) -> "Shown": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Lasting:
    """What changes nothing that would have to be put back."""

    def trouble(self, line: str) -> None:
        print(f"parley: {line}", file=sys.stderr, flush=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return


class JsonLines(Lasting):
    """One line of JSON a report, for programs."""

    def report(self, report: Report) -> None:
        print(msgspec.json.encode(report).decode(), flush=True)

    def __enter__(self) -> "JsonLines":
        return self


class Blocks(Lasting):
    """One report after the other; ``dated``: with the time above each and a line between."""

    def __init__(self, *, dated: bool = False) -> None:
        self._dated = dated
        self._later = False

    def report(self, report: Report) -> None:
        lines = draw(report, this_terminal())
        if self._dated:
            lines = [*([""] if self._later else []), time.strftime("%H:%M:%S"), *lines]
            self._later = True
        print("\n".join(lines), flush=True)

    def __enter__(self) -> "Blocks":
        return self


class Screen:
    """The terminal's second screen, drawn over each time; at the end the last report stays."""

    def __init__(self) -> None:
        self._last: Report | None = None

    def report(self, report: Report) -> None:
        self._last = report
        self._draw()

    def trouble(self, line: str) -> None:
        """Above the last report, which is then as old as the trouble."""
        self._draw(line)

    def _draw(self, trouble: str = "") -> None:
        on = this_terminal()
        above = ["  " + on.paint(trouble, "bad"), ""] if trouble else []
        foot = ["", "  " + on.paint(f"{time.strftime('%H:%M:%S')}  Ctrl-C ends this", "faint")]
        lines = above + (draw(self._last, on) if self._last else []) + foot
        height = shutil.get_terminal_size((WIDTH, HEIGHT)).lines
        if len(lines) > height:
            hidden = f"  ... {len(lines) - height + 1} more lines"
            lines = [*lines[: height - 1], on.paint(hidden, "warn")]
        text = "\n".join(line + REST_OF_LINE for line in lines)
        _write(f"{HOME}{text}{REST}")

    def __enter__(self) -> "Screen":
        _write(BEGIN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _write(END)
        if self._last is not None:
            _write("\n".join(draw(self._last, this_terminal())) + "\n")


def screen() -> Shown:
    """The best that standard output can do."""
    return Screen() if _is_terminal() else Blocks(dated=True)


async def again_each_second(
    look: Callable[[], Awaitable[Report]], on: Shown, redis_url: str
) -> None:
    """Until Ctrl-C or SIGTERM. A Redis that goes away is said, and comes back by itself."""
    loop = asyncio.get_running_loop()
    resized = asyncio.Event()
    loop.add_signal_handler(signal.SIGWINCH, resized.set)

    async def watch() -> None:
        while True:
            resized.clear()
            try:
                async with asyncio.timeout(PATIENCE_S):
                    on.report(await look())
            except SettingError as error:
                on.trouble(str(error))
            except (StoreError, TimeoutError):
                on.trouble(f"Redis at {shown(redis_url)} does not answer; trying again")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await resized.wait()

    watching = asyncio.create_task(watch())
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, watching.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await watching


def this_terminal() -> Terminal:
    """What standard output can do now: its width may change while we draw."""
    width = shutil.get_terminal_size((WIDTH, HEIGHT)).columns
    colour = _is_terminal() and not os.environ.get("NO_COLOR")
    try:
        "".join(BLOCKS).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return Terminal(width, colour, ASCII)
    return Terminal(width, colour)


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
