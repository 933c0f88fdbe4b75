"""What is not written down does not exist: settings, error codes, close codes, keys and metrics are
documented; and what is written down exists: paths, names, links, targets and commands.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sources import LUA, ROOT, SERVICE, WIDGET, dotted, modules, read, tree

DOCS = ROOT / "docs"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
README = ROOT / "README.md"
ARCHITECTURE_LINES = 150  # it is the map; a subsystem's own page goes to docs/

# Words that say nothing, or that mean something else here than elsewhere.
EMPTY_WORDS = {"manager", "handler", "helper", "helpers", "util", "utils", "base", "data", "info"}
OTHER_WORDS = {"tenant", "visitor", "dashboard", "failover", "escalate", "chatbot"}
# Names that somebody else gave, and that we must repeat.
GIVEN = {"data_received", "form_data", "package_data"}


def all_docs() -> str:
    """Everything below docs/ as one text."""
    pages = sorted(DOCS.rglob("*.md"))
    assert pages, "docs/ has no page"
    return "\n".join(read(page) for page in pages)


def in_backticks(text: str) -> set[str]:
    """Every `span`, those of fenced blocks excepted."""
    unfenced = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"`([^`\n]+)`", unfenced))


def undocumented(names: set[str]) -> list[str]:
    assert names, "found nothing to document: has the source moved?"
    text = all_docs()
    return sorted(name for name in names if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", text))


def variables() -> set[str]:
    from service.variables import VARIABLES

    return {variable.name for variable in VARIABLES}


def errors() -> Iterator[type]:
    from service.core import permit_errors  # noqa: F401 - a branch of the tree
    from service.core.errors import ParleyError

    def below(kind: type) -> Iterator[type]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    yield from (kind for kind in below(ParleyError) if kind.__module__.startswith("service."))


def called(*names: str) -> Iterator[ast.Call]:
    """Every call in service/ of a function or class with one of ``names``."""
    for path in modules():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                name = node.func.id if isinstance(node.func, ast.Name) else name
                if name in names:
                    yield node


# -- what exists is documented ----------------------------------------------------------------


def test_every_setting_stands_in_the_settings_page():
    rows = re.findall(r"^\| `([A-Z_]+)` \|", read(DOCS / "settings.md"), re.MULTILINE)
    assert sorted(rows) == sorted(variables())


def test_every_setting_stands_in_the_example_environment():
    lines = re.findall(
        r"^#? ?([A-Z][A-Z0-9_]+)=", read(ROOT / "deploy" / "env.example"), re.MULTILINE
    )
    assert sorted(set(lines)) == sorted(variables())


def test_every_field_of_a_site_stands_in_the_page_on_sites():
    from service.core.model import Site, SiteLimits

    rows = re.findall(r"^\| `([a-z_]+)` \|", read(DOCS / "sites.md"), re.MULTILINE)
    assert rows == [*Site.__struct_fields__, *SiteLimits.__struct_fields__]


def test_every_notice_that_a_turn_can_end_with_is_documented():
    """`notice="…"` anywhere in flows/, and the codes of wire.notice."""
    flows = "\n".join(read(path) for path in sorted((SERVICE / "flows").glob("*.py")))
    codes = set(re.findall(r'notice(?:=|\()"([a-z_]+)"', flows))
    assert len(codes) >= 6, codes
    section = read(DOCS / "wire.md").split("## Notices")[1].split("\n## ")[0]
    assert codes <= in_backticks(section)


def test_every_error_code_is_documented():
    assert not undocumented({kind.code for kind in errors()} - {"internal"})


def test_every_close_code_is_documented():
    assert not undocumented({str(e.close_code) for e in errors() if hasattr(e, "close_code")})


def test_every_key_is_documented():
    """A key's kind is the last fixed word of its name: `meta` of `parley:{pNN}:meta:<c>`."""
    from service.store import keys

    groups = [group for group in vars(keys).values() if hasattr(group, "_fields")]
    kinds = {kind for group in groups for kind in group._fields}
    for node in ast.walk(tree(SERVICE / "store" / "keys.py")):
        if isinstance(node, ast.JoinedStr):
            fixed = "".join(p.value if isinstance(p, ast.Constant) else "\0" for p in node.values)
            words = [word for word in fixed.split(":") if re.fullmatch(r"[a-z_]{2,}", word)]
            if ":" in fixed and words:
                kinds.add(words[-1])
    assert not undocumented(kinds - {"parley"})


def test_every_metric_is_documented():
    names = {
        str(call.args[0].value)
        for call in called("Counter", "Gauge", "Histogram", "Summary")
        if call.args and isinstance(call.args[0], ast.Constant)
    }
    assert not undocumented({name for name in names if name.startswith("parley_")})


def test_every_command_is_documented():
    from service.cli import main

    missing = [name for name in main.commands if f"`parley {name}" not in all_docs()]
    assert not missing


@pytest.mark.parametrize("path", sorted(LUA.glob("*.lua")), ids=lambda path: path.name)
def test_every_lua_file_says_what_it_is_for(path):
    """A header; for a function that is called from outside, with its ARGV and what it returns."""
    text = read(path)
    header = re.match(r"(--[^\n]*\n)+", text)
    assert header, "begins with a comment"
    if re.search(rf"^local function {path.stem}\(keys, args\)", text, re.MULTILINE):
        assert "ARGV" in header[0]
        assert re.search(r"^-- Returns ", header[0], re.MULTILINE)


# -- what is documented exists ----------------------------------------------------------------


def test_the_architecture_page_stays_a_map():
    assert len(read(ARCHITECTURE).splitlines()) <= ARCHITECTURE_LINES


@pytest.mark.parametrize("page", [ARCHITECTURE, README, DOCS / "README.md"], ids=lambda p: p.name)
def test_every_path_and_module_that_a_page_names_exists(page):
    missing = [name for name in sorted(in_backticks(read(page))) if looks_gone(name)]
    assert not missing, missing


def looks_gone(name: str) -> bool:
    """Whether ``name`` reads as a path or module of this tree, and is none."""
    if re.fullmatch(r"service(\.[a-z_]+)+", name):
        return not exists(name.replace(".", "/"))
    if not re.fullmatch(r"[\w.*-]+(/[\w.*-]+)*/?", name):
        return False
    tops = {"service", "widget", "tests", "deploy", "docs", ".ci"}
    layers = {path.name for path in SERVICE.iterdir() if path.is_dir()}
    first = name.split("/")[0]
    if "/" in name and first in tops | layers:
        return not exists(name)
    files = (".py", ".lua", ".ts", ".tsx", ".md", ".mjs")
    return name.endswith(files) and not name.startswith(".") and not exists(name)


def exists(name: str) -> bool:
    """From the root, from service/ or widget/, or the bare name of a file anywhere in them."""
    name = name.rstrip("/")
    for top in (ROOT, SERVICE, WIDGET, WIDGET / "src"):
        for spelled in (name, f"{name}.py"):
            if (top / spelled).exists() or any(top.glob(spelled)):
                return True
    if "/" in name:
        return False
    return any(
        any(path for path in folder.rglob(name) if "node_modules" not in path.parts)
        for folder in (SERVICE, WIDGET / "src", ROOT / "tests", DOCS)
    )


def pages() -> list[Path]:
    tops = [README, ARCHITECTURE, ROOT / "CHANGELOG.md"]
    return [*tops, *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_picture_leads_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", read(page)) + re.findall(r'src="([^"]+)"', read(page))
    local = [link.split("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    assert not [link for link in local if link and not (page.parent / link).exists()]


def test_every_make_target_that_is_named_exists_and_has_a_line_of_help():
    makefile = read(ROOT / "Makefile")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    helped = set(re.findall(r"^([a-z]+):.*## \S", makefile, re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(commands())))
    assert targets == helped
    assert len(targets) <= 10
    assert named <= targets


def test_every_parley_command_that_is_named_exists():
    from service.cli import main

    named = set(re.findall(r"(?:^|[ /])parley ([a-z]+)\b", "\n".join(commands()), re.MULTILINE))
    assert named - set(main.commands) == set()


def commands() -> list[str]:
    """What the pages tell people to type: backticks, fenced blocks, and the Procfile."""
    found = [read(ROOT / "Procfile").replace("web: ", "")]
    for page in pages():
        fenced = re.findall(r"^```(?:sh|bash|console)?\n(.*?)^```", read(page), re.DOTALL | re.M)
        found += [*fenced, *in_backticks(read(page))]
    return found


def test_every_figure_of_the_readme_has_the_command_that_reproduces_it():
    section = re.search(r"^## Figures\n(.*?)(?=^## |\Z)", read(README), re.DOTALL | re.MULTILINE)
    assert section, "README.md has no section `## Figures`"
    rows = [line for line in section[1].splitlines() if line.startswith("|")][2:]
    assert rows, "the table of figures is empty"
    bare = [row for row in rows if not re.search(r"`[^`]+` \|$", row)]
    assert not bare, "each row ends with a command in backticks"


def test_no_name_is_an_empty_word_or_a_word_of_another_trade():
    strays = [
        f"{dotted(path)}: {name}"
        for path in modules()
        for name in [path.stem, *declared(path)]
        if name not in GIVEN and words(name) & (EMPTY_WORDS | OTHER_WORDS)
    ]
    assert not strays, "\n".join(strays)


def declared(path: Path) -> Iterator[str]:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    yield from (node.name for node in ast.walk(tree(path)) if isinstance(node, kinds))


def words(name: str) -> set[str]:
    """`HTTPBaseThing` and `http_base_thing` as http, base, thing."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def test_the_scanners_see_what_they_should():
    assert words("HTTPBaseThing") == {"http", "base", "thing"}
    assert in_backticks("a `b` c\n```\n`d`\n```\n`e f`") == {"b", "e f"}
    assert looks_gone("core/nothing_here.py") and looks_gone("service.core.nothing_here")
    assert not looks_gone("core/errors.py") and not looks_gone("POST /v1/sessions")
