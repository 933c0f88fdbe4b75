"""The Lua functions: how files under `lua/` become libraries on the server.

Names are global in the server, and two versions of Parley live side by side while a deploy rolls.
So the names of a library and of its functions end in the hash of their content: every worker calls
exactly the text that it was tested with.
"""

import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import NamedTuple


class Library(NamedTuple):
    """What FUNCTION LOAD takes: ``source`` begins with the line that names the library."""

    name: str
    source: str
    version: str

    def function(self, name: str) -> "Function":
        return Function(f"{name}_{self.version}", self)


class Function(NamedTuple):
    """What FCALL takes, and the library to load where the server does not know it."""

    name: str
    library: Library


def read(file: str) -> str:
    """The text of `lua/<file>.lua`."""
    return resources.files("service.store").joinpath(f"lua/{file}.lua").read_text("utf-8")


def build(
    kind: str,
    files: Sequence[str],
    *,
    shared: Sequence[str] = (),
    instead: Mapping[str, str] | None = None,
) -> Library:
    """A library of the functions in ``files`` (a file defines one function of its own name).

    ``shared`` files come first and are not callable; before them stands `clock.lua`, the only one
    that asks the server for the time. ``instead`` has other texts for files: tests bring a clock
    of their own, a benchmark a log. Raises ValueError for a file that is no part of the library.
    """
    instead = instead or {}
    parts = ["clock", *shared, *files]
    if unknown := set(instead) - set(parts):
        raise ValueError(f"not a part of {kind}: {sorted(unknown)}")
    body = "\n".join(instead.get(part) or read(part) for part in parts)
    version = hashlib.sha256("\n".join([kind, *files, body]).encode()).hexdigest()[:12]
    name = f"parley_{kind}_{version}"
    registers = "\n".join(f"redis.register_function('{f}_{version}', {f})" for f in files)
    return Library(name, f"#!lua name={name}\n{body}\n{registers}\n", version)
