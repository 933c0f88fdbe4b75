"""A module past 300 lines, a function past 40 or six parameters is a sign that two concepts share a
room. What is past a limit today is listed with its size, and may only shrink.
"""

import ast
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sources import LUA, ROOT, SERVICE, WIDGET, modules, read, tree

MODULE_LINES = 300
FUNCTION_LINES = 40
PARAMETERS = 6

# name: today's size. Never raise a number, never add a line: split by meaning.
LARGE_MODULES: dict[str, int] = {
    "service/core/errors.py": 320,  # one tree, drawn and defined in one place
}
LONG_FUNCTIONS: dict[str, int] = {}
MANY_PARAMETERS: dict[str, int] = {
    # What one step of an answer writes: where, how far, and the text with its sums.
    "service/flows/ports.py:Owner.append": 7,
    "service/store/log.py:Log.append": 7,
    "tests/support/twins/owner.py:OwnersWrites.append": 7,
}

ASSETS = SERVICE / "edge" / "assets"
KIB = 1024
LOADER_BYTES = 2_500  # in brotli: what every page of a shop pays
PANEL_BYTES = 30 * KIB  # in brotli, one locale included: what the first click costs

PYTHON = [*modules(), *modules(ROOT / ".ci"), *modules(ROOT / "tests" / "support")]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def widget_sources() -> list[Path]:
    found = sorted((WIDGET / "src").rglob("*.ts")) + sorted((WIDGET / "src").rglob("*.tsx"))
    assert found, "widget/src has no TypeScript"
    return found


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function of a module with its full name, nested ones included."""

    def below(node: ast.AST, way: str) -> Iterator[tuple[str, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            inner = f"{way}.{child.name}" if named else way
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield inner, child
            yield from below(child, inner)

    for name, node in below(tree(path), ""):
        yield f"{name_of(path)}:{name.lstrip('.')}", node


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """From `def` to the last line, without the docstring."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Without `self` and `cls`."""
    given = node.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    stars = [star for star in (given.vararg, given.kwarg) if star is not None]
    return len([one for one in named if one.arg not in ("self", "cls")]) + len(stars)


def check(sizes: dict[str, int], limit: int, listed: dict[str, int]) -> None:
    """Nothing past ``limit`` but what is ``listed``, and that at most as large as it says."""
    grown = [
        f"{name}: {size}, at most {listed.get(name, limit)}"
        for name, size in sorted(sizes.items())
        if size > listed.get(name, limit)
    ]
    assert not grown, "split by meaning:\n" + "\n".join(grown)
    gone = [name for name in listed if sizes.get(name, 0) <= limit]
    assert not gone, f"within the limit now, so take them off the list: {gone}"
    smaller = {name: sizes[name] for name in listed if sizes[name] < listed[name]}
    assert not smaller, f"they shrank, so lower their numbers: {smaller}"


def test_no_module_holds_two_concepts():
    sources = [*PYTHON, *sorted(LUA.glob("*.lua")), *widget_sources()]
    check({name_of(p): len(read(p).splitlines()) for p in sources}, MODULE_LINES, LARGE_MODULES)


def test_no_function_is_longer_than_a_screen():
    sizes = {name: lines(node) for path in PYTHON for name, node in functions(path)}
    check(sizes, FUNCTION_LINES, LONG_FUNCTIONS)


def test_no_function_takes_more_than_six_parameters():
    sizes = {name: parameters(node) for path in PYTHON for name, node in functions(path)}
    check(sizes, PARAMETERS, MANY_PARAMETERS)


def brotli_bytes(name: str) -> int:
    """What a browser fetches for an asset: the compressed file, not what a list says of it."""
    return len((ASSETS / f"{name}.br").read_bytes())


def first_click_bytes(panel: dict) -> int:
    """Script and sheet in brotli; the page, which the server fills in, in gzip."""
    page = gzip.compress((ASSETS / panel["html"]).read_bytes())
    return len(page) + sum(map(brotli_bytes, panel["files"]))


def manifest() -> dict:
    assert ASSETS.is_dir(), "the widget is not built: run `make widget`"
    return json.loads(read(ASSETS / "manifest.json"))


def test_a_page_that_embeds_parley_pays_at_most_two_and_a_half_kilobytes():
    assert brotli_bytes(manifest()["loader"]["file"]) <= LOADER_BYTES


def test_the_first_click_costs_at_most_thirty_kilobytes_in_every_locale():
    panels = manifest()["panel"]
    assert {"en", "zh", "ar", "de"} <= set(panels)
    sizes = {locale: first_click_bytes(panel) for locale, panel in panels.items()}
    assert max(sizes.values()) <= PANEL_BYTES, sizes


def test_the_readme_states_these_bytes_as_they_are():
    """Within 3 %, so that a small edit of the widget leaves the page alone."""
    panels = manifest()["panel"].values()
    today = {
        brotli_bytes(manifest()["loader"]["file"]),
        max(map(first_click_bytes, panels)),
    }
    stated = re.findall(r"([\d,]+) bytes", read(ROOT / "README.md"))
    figures = sorted(int(figure.replace(",", "")) for figure in stated)
    assert figures == [pytest.approx(size, rel=0.03) for size in sorted(today)]


def test_the_size_brake_itself_brakes():
    node = ast.parse("def f(a, b, /, c, *d, e, **g):\n    '''Two\n    lines.'''\n    return 1")
    function = node.body[0]
    assert isinstance(function, ast.FunctionDef)
    assert (lines(function), parameters(function)) == (2, 6)
    with pytest.raises(AssertionError, match="split by meaning"):
        check({"a": 5}, 4, {})
    with pytest.raises(AssertionError, match="lower their numbers"):
        check({"a": 5}, 4, {"a": 6})
    with pytest.raises(AssertionError, match="off the list"):
        check({"a": 4}, 4, {"a": 5})
