"""Runs `parley serve` or `parley demo` with an application of tests/host/apps.py.

python -m tests.host.launch serve orderly
"""

import sys
from functools import partial

import service.host.demo
import service.host.serve
from service import cli

if __name__ == "__main__":
    command, application = sys.argv[1:]
    module = {"serve": service.host.serve, "demo": service.host.demo}[command]
    run = getattr(module, command)
    setattr(module, command, partial(run, application=f"tests.host.apps:{application}"))
    cli.main([command], prog_name="parley")
