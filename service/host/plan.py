"""What a supervisor is to run, decided before anything is started."""

import os
import site
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import service
from service.settings import Settings
from service.variables import VARIABLES

APPLICATION = "service.edge.app:create_app"
ROOT = Path(service.__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``environ`` is what the workers read their settings from; ``settings`` are the same, read.

    ``stop_s``: seconds from the signal to the end of the last process. ``rolls``: SIGHUP has the
    workers replaced; else it stops everything, as it does where a terminal closes.
    """

    command: str
    settings: Settings
    environ: Mapping[str, str] = field(repr=False)  # it holds the model's key
    stop_s: float
    demo: bool = False
    rolls: bool = False
    application: str = APPLICATION


def child_environ(environ: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """``environ`` with these settings instead of its own, for a process of ours.

    REDIS_URL goes, as PARLEY_REDIS_URL says by now what was decided. The child imports the very
    code that runs here, whatever folder it is started in.
    """
    dropped = {"REDIS_URL", "PYTHONPATH"}
    made = {name: value for name, value in environ.items() if name not in dropped}
    assert settings.keys() <= {variable.name for variable in VARIABLES}, settings.keys()
    made.update(settings)
    paths = [] if str(ROOT) in site.getsitepackages() else [str(ROOT)]
    paths += [path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if paths:
        made["PYTHONPATH"] = os.pathsep.join(paths)
    return made


def python(module: str, *words: str) -> list[str]:
    """The command that runs one of our modules, deaf to what lies in the working directory."""
    return [sys.executable, "-P", "-m", module, *words]
