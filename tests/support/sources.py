"""The tree as text: what the tests about layers, sizes and documents read."""

import ast
import gc
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / "service"
LUA = SERVICE / "store" / "lua"
WIDGET = ROOT / "widget"


@cache
def tree(path: Path) -> ast.Module:
    text = read(path)
    # Before Python 3.11.5 a garbage collection in mid-parse may fail it: what dies there may format
    # a traceback, and that parses, too (python/cpython#106905).
    collecting = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(text, filename=str(path))
    finally:
        if collecting:
            gc.enable()


@cache
def read(path: Path) -> str:
    """The text of a source that must exist."""
    assert path.exists(), f"{path.relative_to(ROOT)} is missing: this test reads it"
    return path.read_text("utf-8")


def modules(folder: Path = SERVICE) -> list[Path]:
    """Every Python file below ``folder``, sorted."""
    found = sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)
    assert found, f"{folder.relative_to(ROOT)} has no Python file"
    return found


def dotted(path: Path) -> str:
    """`service/core/errors.py` as `service.core.errors`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that ``path`` imports anywhere, absolute, with its line.

    `from a import b` gives `a.b` where that is a module of this tree, else `a`.
    """
    package = dotted(path) if path.name == "__init__.py" else dotted(path).rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for name in node.names:
                inner = f"{origin}.{name.name}"
                yield (inner if is_module(inner) else origin), node.lineno


def is_module(name: str) -> bool:
    place = ROOT / name.replace(".", "/")
    return place.is_dir() or place.with_suffix(".py").exists()


def tracked() -> list[Path]:
    """Every file that git knows, or would know: what a clone would hold."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
