"""The command `parley`. Each command imports what it needs when it runs, so that help is quick.

What people can set right is one line on standard error and exit code 2. Anything else is a defect,
and keeps its traceback.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from service import __version__
from service.core.errors import SettingError

REFUSED = 2  # exit status: something is set wrong, and the line says what
INTERRUPTED = 130  # exit status of a program that Ctrl-C ended before it ran


class Later(click.Command):
    """A command that lives elsewhere and is imported when it is run."""

    def __init__(self, name: str, where: str, short_help: str) -> None:
        super().__init__(name, short_help=short_help)
        self._where = where

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        command: click.Command = getattr(importlib.import_module(self._where), str(self.name))
        return command.make_context(info_name, args, parent, **extra)


class Parley(click.Group):
    """The group of all commands, with one way to say that something is set wrong."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command and exit: 0, 2 with one line, or a defect's traceback."""
        try:
            return super().main(*args, **extra)
        except SettingError as error:
            click.echo(f"parley: {' '.join(str(error).split())}", err=True)
            sys.exit(REFUSED)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


@click.group(cls=Parley, name="parley", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="parley", message="%(prog)s %(version)s")
def main() -> None:
    """Self-hosted customer-service chat for storefronts.

    Settings are environment variables; docs/settings.md lists them.
    """


@main.command()
def demo() -> None:
    """A whole shop with a chat on this machine: no key, no setting.

    Starts a Valkey (data in .parley/), a simulated model, two workers and a sample shop on
    http://127.0.0.1:8000/. PORT=8001 parley demo takes another port. Ctrl-C ends all of it.
    """
    from service.host.demo import demo as run

    sys.exit(run())


@main.command()
def serve() -> None:
    """The server: workers behind one port, on a Redis that you name.

    Needs PARLEY_REDIS_URL, PARLEY_SITES and PARLEY_MODEL_KEY. SIGTERM and Ctrl-C drain it.
    """
    from service.host.serve import serve as run

    sys.exit(run())


@main.command(short_help="The living workers of this instance.")
@click.option("--json", "as_json", is_flag=True, help="An array of name, pid, ready and host.")
def workers(as_json: bool) -> None:
    """The living workers of the instance that PARLEY_REDIS_URL or PARLEY_DATA names."""
    from service.host.listing import listing

    click.echo(listing(as_json=as_json))


def which_permits(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which permits are meant, where Redis has several."""
    model = click.option("--model", metavar="NAME", help="Else PARLEY_MODEL, or the only one used.")
    account = click.option(
        "--account", metavar="NAME", help="As shown. Else the settings' own, or the only one used."
    )
    return account(model(command))


@main.group(invoke_without_command=True, short_help="The account's permits: in use, waiting, why.")
@which_permits
@click.option("--json", "as_json", is_flag=True, help="One line; docs/cli.md has its fields.")
@click.option("--watch", is_flag=True, help="Again each second, until Ctrl-C.")
@click.pass_context
def permits(
    context: click.Context, account: str | None, model: str | None, as_json: bool, watch: bool
) -> None:
    """What is in use of the account's tier, who waits, and why it is not more.

    Of the instance that PARLEY_REDIS_URL or PARLEY_DATA names.
    """
    context.obj = {"account": account, "model": model}
    if context.invoked_subcommand is None:
        from service.host.permits import show

        show(account=account, model=model, as_json=as_json, watch=watch)


@permits.command(
    short_help="Change how many may be in use.",
    context_settings={"ignore_unknown_options": True},  # or -5 would be an option
)
@which_permits
@click.argument("n")
@click.pass_obj
def limit(group: Mapping[str, str | None], account: str | None, model: str | None, n: str) -> None:
    """Let at most N permits be in use, from now on, in all workers.

    N is from 1 to the tier (PARLEY_TIER of the workers); the tier itself takes the limit away.
    Nothing is ended: while more are in use, none is given.
    """
    from service.host.permits import set_limit

    which = {"account": account or group["account"], "model": model or group["model"]}
    click.echo(set_limit(n, **which))


main.add_command(
    Later("simulate", "service.simulator.command", "The model's API, simulated, in a process.")
)
