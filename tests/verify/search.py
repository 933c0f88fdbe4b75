"""One search: spin makes a C program of the model and a variant's flags; it looks at every state.

Nothing here decides whether a result is welcome. A search that did not reach its end (too deep, out
of memory, out of time) has found nothing out, and says so.
"""

import asyncio
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.support import programs
from tests.verify.variants import HOLDS, LEFT, STARVES, TIER, Variant

MODEL = Path(__file__).with_name("permits.pml")
SECONDS = 300.0  # for one search; the longest takes a tenth of it
MEGABYTES = 3000  # for one search; the largest takes half of it
DEPTH = 500_000  # steps on one path; the deepest takes a hundredth of it
BUCKETS = {False: 20, True: 24}  # bits of the table of states, by `heavy`
ROOM_FOR_FAIRNESS = "-DNFAIR=8"  # of its 22 processes
STORY_DEPTH = 120  # steps; every known fault shows within half of it

AGAIN = "and from here on again and again:"

# Found at an assertion: its text, as pan prints it, to what it means.
MEANINGS = (
    (r"upstream<=", TIER),
    (r"used==0|\(caller\[", LEFT),
    (r"p!=", "the model has too few names"),
    (r"record\[", "a permit is given twice"),
)
UNFINISHED = (
    (r"max search depth too small", "not finished: deeper than it may be"),
    (r"memory|MEMLIM", "not finished: more memory than it may take"),
    (r"VECTORSZ|too many processes", "not finished: the model is too large for its program"),
)


class VerifyError(Exception):
    """The search cannot be made. The text says what to do."""


class Tools(NamedTuple):
    spin: str
    cc: str


class Found(NamedTuple):
    """``verdict``: HOLDS, what broke, or why the search says nothing."""

    verdict: str
    states: int
    depth: int
    seconds: float


def tools(environ: Mapping[str, str] = os.environ) -> Tools:
    """Where the two programs are. Raises VerifyError."""
    spin, cc = programs.spin(environ), programs.cc(environ)
    missing = [name for name, found in (("spin", spin), ("a C compiler", cc)) if found is None]
    if spin is None or cc is None:
        raise VerifyError(
            f"{' and '.join(missing)} cannot be found, and the model checker needs it. "
            f"Debian and Ubuntu: {programs.SPIN_REMEDY}; macOS: brew install spin"
        )
    return Tools(spin, cc)


async def search(variant: Variant, with_: Tools) -> Found:
    """Look at every state that ``variant`` can reach. Raises VerifyError if it cannot be built."""
    began = time.monotonic()
    with TemporaryDirectory(prefix="parley-verify-") as name:
        folder = Path(name)
        await _build(variant, with_, folder, *compile_options(variant))
        try:
            async with asyncio.timeout(SECONDS):
                _, said = await _run(folder, "./pan", *search_options(variant))
        except TimeoutError:
            said = f"not finished in {SECONDS:g} s"
            return Found(said, 0, 0, time.monotonic() - began)
    return read(said, time.monotonic() - began)


async def story(variant: Variant, with_: Tools) -> list[str]:
    """The shortest way to what breaks, a line an event; empty if none is within STORY_DEPTH."""
    with TemporaryDirectory(prefix="parley-verify-") as name:
        folder = Path(name)
        await _build(variant, with_, folder, *compile_options(variant), "-DREACH")
        kind = ["-a", "-f"] if variant.fair else ["-i"]  # a cycle cannot be shortened
        await _run(folder, "./pan", *kind, f"-m{STORY_DEPTH}", "-w20", "-n")
        trail = folder / f"{MODEL.name}.trail"
        if not trail.exists():
            return []
        flags = model_flags(variant)
        _, said = await _run(folder, with_.spin, "-T", "-k", trail.name, *flags, str(MODEL))
    return told(said)


def told(said: str) -> list[str]:
    """The model's own lines of what spin says when it goes along a trail."""
    events = []
    for line in said.splitlines():
        if line.startswith("spin: trail ends"):
            break
        if "START OF CYCLE" in line:
            events.append(AGAIN)
        elif line.strip() and not line.startswith(("spin:", "ltl ", "Never claim", "starting")):
            events.append(line.strip())
    if events and events[-1] == AGAIN:
        events[-1] = "and then nothing more happens"
    return events


def model_flags(variant: Variant) -> list[str]:
    extra = ["-DLIVENESS"] if variant.fair else []
    return [*extra, *(f"-D{flag}" for flag in variant.flags.split())]


def compile_options(variant: Variant) -> list[str]:
    """A search that is soon over is not worth an optimised program."""
    kind = [ROOM_FOR_FAIRNESS] if variant.fair else ["-DSAFETY", "-DNOCLAIM"]
    effort = "-O2" if variant.heavy else "-O1"
    limits = [f"-DMEMLIM={MEGABYTES}", "-DVECTORSZ=1024"]
    return [effort, "-w", "-DNOREDUCE", *kind, *limits]


def search_options(variant: Variant) -> list[str]:
    kind = ["-a", "-f"] if variant.fair else []
    return [*kind, f"-m{DEPTH}", f"-w{BUCKETS[variant.heavy]}", "-n"]


async def _build(variant: Variant, with_: Tools, folder: Path, *options: str) -> None:
    preprocess = f"-P{with_.cc} -E -x c"
    made, said = await _run(folder, with_.spin, preprocess, "-a", *model_flags(variant), str(MODEL))
    if made != 0 or re.search(r"Error:|error:", said):
        raise VerifyError(f"{variant.name}: spin refuses the model:\n{said}")
    made, said = await _run(folder, with_.cc, *options, "-o", "pan", "pan.c")
    if made != 0:
        raise VerifyError(f"{variant.name}: {with_.cc} cannot compile what spin made:\n{said}")


async def _run(folder: Path, *command: str) -> tuple[int, str]:
    """Its exit code, and all that it said. It ends with us."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode("utf-8", "replace")


def read(said: str, seconds: float) -> Found:
    """What pan says at its end. Anything but a finished search counts as unfinished."""
    states = re.search(r"^\s*(\d+) states, stored", said, re.MULTILINE)
    ended = re.search(r"depth reached (\d+).*errors: (\d+)", said)
    if states is None or ended is None:
        last = said.strip().splitlines()[-1:] or ["it said nothing"]
        return Found(unfinished(said) or f"not finished: {last[0]}", 0, 0, seconds)
    return Found(verdict(said, int(ended[2])), int(states[1]), int(ended[1]), seconds)


def verdict(said: str, errors: int) -> str:
    broken = re.search(r"^pan:\d+: (.*?)(?: \(at depth \d+\))?$", said, re.MULTILINE)
    if broken is not None:
        if "acceptance cycle" in broken[1]:
            return STARVES
        for pattern, meaning in MEANINGS:
            if "assertion violated" in broken[1] and re.search(pattern, broken[1]):
                return meaning
        return broken[1]
    why = unfinished(said)
    if why or errors or "Search not completed" in said:
        return why or "not finished"
    return HOLDS


def unfinished(said: str) -> str:
    """Why the search did not reach its end, or ""."""
    problems = [
        line for line in said.splitlines() if re.match(r"(pan|error|pan: error)\b.*:", line)
    ]
    text = "\n".join(problems)
    return next((meaning for pattern, meaning in UNFINISHED if re.search(pattern, text)), "")
