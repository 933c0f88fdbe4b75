"""The benches: `python -m tests.bench --only permits [--quick] [--seed N] [--out DIR]`.

`make bench` passes the same in the environment: ONLY=permits QUICK=1 SEED=7 OUT=folder. Without
ONLY all benches run, one after the other. The exit code is 0 if each reached its figures, 1 if one
missed a figure or could not run, 2 for a bad argument.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.environment import BenchError

SEED = 20_261  # any; the same seed draws the same holds, cancellations and order of contenders
OFF = ("", "0", "no", "false")


class Options(NamedTuple):
    """``out``: the folder for results, or None for the bench's own choice."""

    quick: bool
    seed: int
    out: Path | None


def permits(options: Options) -> int:
    from tests.bench.permits.bench import main

    return main(quick=options.quick, seed=options.seed, out=options.out)


# A bench prints its figures, writes them down, and returns the exit code.
BENCHES: dict[str, Callable[[Options], int]] = {"permits": permits}


class UnknownBench(BenchError):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no bench {name!r}; there is: {', '.join(BENCHES)}")


def chosen(names: str) -> list[str]:
    """``names`` as "permits" or "permits,tokens"; "" is all. Raises UnknownBench."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in BENCHES:
            raise UnknownBench(name)
    return wanted or list(BENCHES)


def seed_of(text: str) -> int:
    """Raises BenchError."""
    try:
        return int(text)
    except ValueError:
        raise BenchError(f"a seed is a whole number, such as {SEED}; not {text!r}") from None


def read(words: Sequence[str], environment: Mapping[str, str]) -> tuple[list[str], Options]:
    """Which benches, and how. Arguments stand before the environment. Raises BenchError."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", default=environment.get("ONLY", ""), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="one short repeat: a smoke test")
    parser.add_argument("--seed", default=environment.get("SEED") or str(SEED), metavar="N")
    parser.add_argument("--out", default=environment.get("OUT") or None, metavar="DIR")
    given = parser.parse_args(words)
    quick = given.quick or environment.get("QUICK", "").lower() not in OFF
    out = Path(given.out) if given.out else None
    return chosen(given.only), Options(quick, seed_of(given.seed), out)


def main(words: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        names, options = read(words, environment)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    codes = []
    for name in names:
        try:
            codes.append(BENCHES[name](options))
        except BenchError as error:
            print(f"\nbench {name} FAILED: {error}", file=sys.stderr)
            codes.append(1)
        except KeyboardInterrupt:
            print("\ninterrupted; nothing was written", file=sys.stderr)
            return 130
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
