"""The command `parley`. Each command imports what it needs when it runs, so that help is quick.

What people can set right is one line on standard error and exit code 2. Anything else is a defect,
and keeps its traceback.
"""

import sys
from typing import Any

import click

from service import __version__
from service.core.errors import SettingError

REFUSED = 2  # exit status: something is set wrong, and the line says what
INTERRUPTED = 130  # exit status of a program that Ctrl-C ended before it ran


class _Lazy(click.Group):
    """A group whose command `simulate` lives with the simulator and is imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), "simulate"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "simulate":
            return super().get_command(ctx, cmd_name)
        from service.simulator.command import simulate

        command: click.Command = simulate
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="parley", message="%(prog)s %(version)s")
def parley() -> None:
    """Self-hosted customer-service chat for storefronts.

    Settings are environment variables; docs/settings.md lists them.
    """


@parley.command()
def demo() -> None:
    """A whole shop with a chat on this machine: no key, no setting.

    Starts a Valkey (data in .parley/), a simulated model, two workers and a sample shop on
    http://127.0.0.1:8000/. PORT=8001 parley demo takes another port. Ctrl-C ends all of it.
    """
    from service.host.demo import demo as run

    sys.exit(run())


@parley.command()
def serve() -> None:
    """The server: workers behind one port, on a Redis that you name.

    Needs PARLEY_REDIS_URL, PARLEY_SITES and PARLEY_MODEL_KEY. SIGTERM and Ctrl-C drain it.
    """
    from service.host.serve import serve as run

    sys.exit(run())


@parley.command()
@click.option("--json", "as_json", is_flag=True, help="An array of name, pid, ready and host.")
def workers(as_json: bool) -> None:
    """The living workers of the instance that PARLEY_REDIS_URL or PARLEY_DATA names."""
    from service.host.listing import listing

    click.echo(listing(as_json=as_json))


def main(arguments: list[str] | None = None) -> Any:
    """The console script."""
    try:
        return parley.main(args=arguments, prog_name="parley")
    except SettingError as error:
        line = " ".join(str(error).split())
        click.echo(f"parley: {line}", err=True)
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
