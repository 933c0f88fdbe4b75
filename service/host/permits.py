"""`parley permits`: what is in use of the account's tier, who waits, and why it is not more.

`parley permits limit N` changes how many may be in use.
"""

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click

from service.core.errors import SettingError
from service.host.permits_instance import Semaphore, cards_of, connected, find, instance_redis
from service.host.permits_report import Report, report
from service.host.permits_watch import Blocks, JsonLines, Shown, again_each_second, screen
from service.settings import Settings, load
from service.store.connection import Commands

HELP = {"help_option_names": ["-h", "--help"]}
EMPTY = "this Redis has no permits: no worker has registered since it was emptied"


class Wanted(NamedTuple):
    """Which permits, by the settings and by the options."""

    settings: Settings
    redis_url: str
    account: str | None
    model: str | None

    @classmethod
    def read(cls, account: str | None, model: str | None) -> "Wanted":
        """Raises SettingError."""
        settings = load(os.environ)
        return cls(settings, instance_redis(settings), account, model)

    async def find(self, commands: Commands) -> Semaphore:
        return await find(commands, self.settings, account=self.account, model=self.model)


def _which(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which permits are meant."""
    model = click.option("--model", metavar="NAME", help="Else PARLEY_MODEL, or the only one used.")
    account = click.option(
        "--account", metavar="NAME", help="As shown. Else the settings' own, or the only one used."
    )
    return account(model(command))


@click.group(
    invoke_without_command=True,
    short_help="The account's permits: in use, waiting, limit.",
    context_settings=HELP,
)
@_which
@click.option("--json", "as_json", is_flag=True, help="One line of JSON; see docs/cli.md.")
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
        asyncio.run(_show(Wanted.read(account, model), as_json=as_json, watch=watch))


@permits.command(
    short_help="Change how many may be in use.",
    context_settings=HELP | {"ignore_unknown_options": True},  # or -5 would be an option
)
@_which
@click.argument("n")
@click.pass_obj
def limit(group: Mapping[str, str | None], account: str | None, model: str | None, n: str) -> None:
    """Let at most N permits be in use, from now on, in all workers.

    N is from 1 to the tier (PARLEY_TIER of the workers); the tier itself takes the limit away.
    Nothing is ended: while more are in use, none is given.
    """
    wanted = Wanted.read(account or group["account"], model or group["model"])
    click.echo(asyncio.run(_limit(wanted, n)))


# -- the limit ----------------------------------------------------------------------------


async def _limit(wanted: Wanted, text: str) -> str:
    async with connected(wanted.redis_url) as commands:
        found = await wanted.find(commands)
        office = found.office(commands, wanted.settings)
        before = await office.state()
        if not before.epoch:
            raise SettingError(EMPTY)
        await office.set_limit(_whole(text, before.tier))
        after = await office.state()
    debt = after.used - after.cap
    effect = f": nothing is ended, and none is given until {debt} have ended" if debt > 0 else ""
    return (
        f"limit of {found.model}: {before.cap} -> {after.cap} (tier {after.tier}); "
        f"{after.used} in use{effect}"
    )


def _whole(text: str, tier: int) -> int:
    """``text`` as a number that can be a limit. Whether it is above the tier the script decides."""
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or int(text) < 1:
        raise SettingError(f"a limit is a whole number from 1 to the tier, {tier}; not {text!r}")
    return int(text)


# -- the state ----------------------------------------------------------------------------


async def _show(wanted: Wanted, *, as_json: bool, watch: bool) -> None:
    async with connected(wanted.redis_url) as commands:
        found = await wanted.find(commands)

        async def look() -> Report:
            state = await found.office(commands, wanted.settings).state()
            if not state.epoch:
                raise SettingError(EMPTY)
            return report(found, state, await cards_of(commands, [*state.sessions, *state.absent]))

        if not watch:
            shown: Shown = JsonLines() if as_json else Blocks()
            shown.report(await look())
            return
        with JsonLines() if as_json else screen() as shown:
            await again_each_second(look, shown, wanted.redis_url)
