"""The model of the permits, checked: `python -m tests.verify [--only WORDS] [--story] [--list]`.

`make verify` runs every variant; `make verify ONLY="lease only" STORY=1` those with these words in
their name or flags, and tells the shortest way to what breaks. The exit code is 0 if each design
holds and each known fault is found; 1 if one does not, or if a search did not reach its end; 2 for
a bad argument, or where spin or a C compiler is missing.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.verify.search import Found, Tools, VerifyError, search, story, tools
from tests.verify.variants import UnknownVariant, Variant, selected

JOBS = 2  # searches side by side; each of the large ones takes up to 1.5 GB
OFF = ("", "0", "no", "false")
TITLES = ("variant", "expected", "found", "states", "seconds")


class Options(NamedTuple):
    variants: list[Variant]
    jobs: int
    story: bool
    list: bool


def options(words: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Arguments stand before the environment. Raises VerifyError or UnknownVariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.verify", description=__doc__)
    parser.add_argument("--only", default=environ.get("ONLY", ""), metavar="WORDS")
    parser.add_argument("--jobs", default=environ.get("JOBS") or str(default_jobs()), metavar="N")
    parser.add_argument("--story", action="store_true", help="tell how what breaks comes about")
    parser.add_argument("--list", action="store_true", help="show the variants, and search nothing")
    given = parser.parse_args(words)
    tells = given.story or environ.get("STORY", "").lower() not in OFF
    return Options(selected(given.only), jobs_of(given.jobs), tells, given.list)


def default_jobs() -> int:
    return min(JOBS, os.cpu_count() or 1)


def jobs_of(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise VerifyError(f"JOBS is how many searches run at once, such as 2; not {text!r}")
    return int(text)


async def search_all(chosen: Options, with_: Tools) -> dict[Variant, Found]:
    """Largest first, so that no core waits at the end. A line for each as it ends."""
    found: dict[Variant, Found] = {}
    room = asyncio.Semaphore(chosen.jobs)

    async def one(variant: Variant) -> None:
        async with room:
            found[variant] = await search(variant, with_)
            told = await story(variant, with_) if chosen.story and not variant.good else []
        done = f"[{len(found)}/{len(chosen.variants)}]"
        print(f"{done} {variant.name}: {found[variant].verdict}", flush=True)
        for line in told:
            print(f"        {line}", flush=True)

    async with asyncio.TaskGroup() as group:
        for variant in sorted(chosen.variants, key=lambda one: not one.heavy):
            group.create_task(one(variant))
    return found


def failures(found: Mapping[Variant, Found]) -> list[str]:
    """Each search whose result is not the one that is expected."""
    return [
        f"{variant.name}: {result.verdict}, but expected: {variant.expected}"
        for variant, result in found.items()
        if result.verdict != variant.expected
    ]


def table(variants: Sequence[Variant], found: Mapping[Variant, Found]) -> str:
    rows = [TITLES]
    for variant in variants:
        result = found[variant]
        row = (variant.name, variant.expected, result.verdict)
        rows.append((*row, f"{result.states:,}", f"{result.seconds:.1f}"))
    widths = [max(len(row[at]) for row in rows) for at in range(len(TITLES))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < 3 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def summary(variants: Sequence[Variant], found: Mapping[Variant, Found], seconds: float) -> str:
    good = sum(variant.good for variant in variants)
    states = sum(result.states for result in found.values())
    return (
        f"designs that hold: {good}; known faults that are found: {len(variants) - good}; "
        f"{states:,} states in {seconds:.0f} s"
    )


def verify(chosen: Options) -> int:
    began = time.monotonic()
    found = asyncio.run(search_all(chosen, tools()))
    print(f"\n{table(chosen.variants, found)}\n")
    wrong = failures(found)
    if wrong:
        print("FAILED\n" + "\n".join(wrong))
        return 1
    print(summary(chosen.variants, found, time.monotonic() - began))
    return 0


def main(words: Sequence[str], environ: Mapping[str, str]) -> int:
    try:
        chosen = options(words, environ)
        if chosen.list:
            for variant in chosen.variants:
                print(f"{variant.name:45} {variant.expected:20} {variant.flags}")
            return 0
        return verify(chosen)
    except (VerifyError, UnknownVariant) as error:
        print(f"verify: {error}", file=sys.stderr)
        return 2
    except ExceptionGroup as group:
        print(f"verify: {group.exceptions[0]}", file=sys.stderr)
        if not group.split(VerifyError)[0]:
            raise
        return 1
    except KeyboardInterrupt:
        print("\nverify: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
