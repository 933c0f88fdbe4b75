"""What a worker process is told, and what it tells: JSON lines on its standard input and output.

The parent writes ``Orders`` as the argument, then the words ``begin NS``, ``probe`` and ``end``;
the worker answers ``ready``, a ``Report``, a number, and nothing. All times are nanoseconds of
CLOCK_MONOTONIC, which on Linux is one clock for all processes.
"""

import msgspec

MS = 1_000_000  # ns


class Orders(msgspec.Struct):
    """One contender in one process. ``churn_s``: of more load, of which a tenth gives up."""

    url: str
    contender: str
    session: str
    capacity: int
    processes: int
    waiters: int
    hold_ms: int
    warm_s: float
    window_s: float
    churn_s: float = 0.0
    logged: bool = False  # Parley's script writes what it frees and gives to a list
    seed: int = 1


class Report(msgspec.Struct):
    """``holds``: (asked, started, due, ended) of every one, in the order of their ends.

    ``ids``: the permits of ``holds``, where the script's log is kept. ``waiting``: when each of
    those asked who still waited at the window's end. ``stuck``: who was not served, nor refused, in
    the seconds after the end of the load. ``errors``: of acquisitions while others gave up, with
    the last one's words; ``failed`` is one at any other time, which ends the run. ``window`` is
    when ``cpu_s`` was read, before and after.
    """

    holds: list[tuple[int, int, int, int]] = []
    ids: list[str] = []
    waiting: list[int] = []
    window: tuple[int, int] = (0, 0)
    cpu_s: float = 0.0
    cancelled: int = 0
    stuck: int = 0
    errors: int = 0
    error: str = ""
    failed: str = ""


class Flow(msgspec.Struct):
    """Callers of one address. ``rate``: Poisson arrivals a second, instead of ``outstanding``."""

    name: str
    priority: str = "live"
    outstanding: int = 0
    rate: float = 0.0


class Scene(msgspec.Struct):
    """Parley's permits alone, under several flows at once, in one process."""

    url: str
    account: str
    session: str
    capacity: int
    flows: list[Flow]
    hold_s: tuple[float, float]
    warm_s: float
    window_s: float
    seed: int = 1


class SceneReport(msgspec.Struct):
    """``waits``: by flow, ms, of those who asked within the window. ``holds``: as in Report."""

    waits: dict[str, list[float]] = {}
    holds: list[tuple[int, int, int, int]] = []
    failed: str = ""
