"""`parley simulate`."""

from __future__ import annotations

import sys
from typing import Any

import click

from service.simulator.modes import MODES, SEEDED
from service.simulator.options import (
    DEFAULT_MODELS,
    MAX_LAG_MS,
    TIERS,
    OptionError,
    SimulatorOptions,
    changed,
)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8089,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--tier",
    default="V0",
    show_default=True,
    help=f"Requests in flight per key and model: {', '.join(TIERS)} or a number.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="An accepted API key, id.secret; repeatable. Without it any such key is.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    help="A model's name to serve beside the provider's own; repeatable.",
)
@click.option("--first-token-ms", type=float, default=200.0, show_default=True)
@click.option(
    "--tokens-per-second", type=float, default=80.0, show_default=True, help="0: no delay."
)
@click.option(
    "--jitter", type=float, default=0.25, show_default=True, help="Spread of both, as a share."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--unknown-fields",
    type=click.Choice(["ignore", "refuse"]),
    default="ignore",
    show_default=True,
    help="What a field that is not documented gets.",
)
@click.option(
    "--object",
    "object_field",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    help="Whether answers have the field `object`.",
)
@click.option(
    "--continuation",
    type=click.Choice([*MODES, SEEDED]),
    default=SEEDED,
    show_default=True,
    help="How it goes on with an answer that it is asked to continue.",
)
@click.option(
    "--release-lag-ms",
    type=float,
    default=0.0,
    show_default=True,
    help=f"A place in the tier is free so long after the last byte, at most {MAX_LAG_MS}.",
)
@click.option(
    "--disconnect-delay-ms",
    default="0",
    show_default=True,
    help="Work is aborted so long after its client left; never: it goes on to its own end.",
)
@click.option(
    "--write-stall",
    type=click.Choice(["on", "off"]),
    default="off",
    show_default=True,
    help="Whether a client that does not read holds the model's work up.",
)
@click.option(
    "--parent-fd", type=int, default=None, help="Stop at the end of file of this descriptor."
)
def simulate(**given: Any) -> None:
    """Answer as the model's API does, from a process of its own.

    No key and no network: concurrency tier, errors, streams and usage as the real endpoint has
    them, answers from the shop's facts in the prompt. Faults: POST /_control, counts: /stats.
    """
    from service.simulator.serve import ServeError, run

    fixed = {name: given.pop(name) for name in ("host", "port", "parent_fd")}
    models = (*DEFAULT_MODELS, *given.pop("models"))
    options = SimulatorOptions(keys=tuple(given.pop("keys")), models=models, **fixed)
    try:
        run(changed(options, given))
    except (OptionError, ServeError) as error:
        click.echo(f"parley simulate: {error}", err=True)
        sys.exit(2)
