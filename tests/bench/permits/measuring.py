"""What follows from lists of holds: pure, so that it is tested without a clock.

A hold is (asked, started, due, ended) in nanoseconds of one clock. ``started`` was taken right
after the permit was granted, ``ended`` right before it was given back, so holds of a semaphore that
keeps its count never overlap more than its capacity. At ``due`` the upstream was done: what comes
between that and ``ended`` is no *use*, for a worker that notices late keeps a permit idle.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

Hold = tuple[int, int, int, int]
Window = tuple[int, int]


@dataclass(frozen=True)
class Overlap:
    """``peak`` at once; ``over``: starts beyond the capacity."""

    peak: int
    over: int


def overlap(holds: Iterable[Hold], capacity: int) -> Overlap:
    """Exactly, over all processes. An end and a start in the same nanosecond do not overlap."""
    steps = sorted(
        step
        for _, started, _, ended in holds
        for step in ((started, 1), (max(ended, started + 1), -1))
    )
    inside = peak = over = 0
    for _, change in steps:
        inside += change
        if change > 0:
            peak = max(peak, inside)
            over += inside > capacity
    return Overlap(peak, over)


def utilisation(holds: Iterable[Hold], window: Window, *, capacity: int) -> float:
    """The share of what ``capacity`` permits could have been used for in the window."""
    begin, end = window
    used = sum(
        max(0, min(due, ended, end) - max(started, begin)) for _, started, due, ended in holds
    )
    return used / (capacity * (end - begin))


def ended_within(holds: Iterable[Hold], window: Window) -> int:
    begin, end = window
    return sum(begin <= ended < end for _, _, _, ended in holds)


def waits_ms(holds: Iterable[Hold], window: Window) -> list[float]:
    """Of those who were served within the window, sorted."""
    begin, end = window
    return sorted((s - asked) / 1e6 for asked, s, _, _ in holds if begin <= s < end)


def longest_ms(waits: Sequence[float], waiting: Iterable[int], window: Window) -> float:
    """The longest wait, of those included who still waited at the window's end."""
    return max([*waits, *((window[1] - asked) / 1e6 for asked in waiting)])


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of a sorted list: linear between the two nearest. Raises ValueError where it is empty."""
    if not ordered:
        raise ValueError("no percentile of nothing")
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def pairs(log: Iterable[str], capacity: int) -> list[tuple[str, str]]:
    """(permit given back, permit that this made possible) of a script's log, oldest first.

    The log has "release <id>" and "grant <id>" in the order of the script's decisions. The first
    ``capacity`` grants follow from no release; from then on the i-th grant follows from the i-th
    release.
    """
    free: deque[str] = deque([""] * capacity)
    found = []
    for line in log:
        what, _, permit = line.partition(" ")
        if what == "release":
            free.append(permit)
        elif what == "grant":
            if not free:
                raise ValueError(f"the log grants {permit} while nothing is free")
            source = free.popleft()
            if source:
                found.append((source, permit))
    return found


def handovers_ms(
    log: Iterable[str], holds: Mapping[str, Hold], window: Window, capacity: int
) -> list[float]:
    """From each end of a hold to the start that it made possible, both in the window; sorted."""
    begin, end = window
    return sorted(
        (holds[to][1] - holds[source][3]) / 1e6
        for source, to in pairs(log, capacity)
        if source in holds and to in holds and holds[source][3] >= begin and holds[to][1] < end
    )
