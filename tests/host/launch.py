"""Runs `parley serve` or `parley demo` with an application of tests/host/apps.py.

python -m tests.host.launch serve orderly
"""

import os
import sys
from functools import partial

import service.host.demo
import service.host.roll
import service.host.serve
from service import cli

if __name__ == "__main__":
    command, application = sys.argv[1:]
    module = {"serve": service.host.serve, "demo": service.host.demo}[command]
    run = getattr(module, command)
    setattr(module, command, partial(run, application=f"tests.host.apps:{application}"))
    service.host.roll.READY_S = float(os.environ.get("TEST_ROLL_READY_S", "30"))
    cli.main([command], prog_name="parley")
