"""`parley permits`: what is in use of the account's tier, who waits, and why it is not more.

`parley permits limit N` changes how many may be in use.
"""

import asyncio
import os
import re
from typing import NamedTuple

from service.core.errors import SettingError
from service.host.permits_instance import Semaphore, cards_of, connected, find, instance_redis
from service.host.permits_report import Report, report
from service.host.permits_watch import Blocks, JsonLines, Shown, again_each_second, screen
from service.settings import Settings, load
from service.store.connection import Commands

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


def show(*, account: str | None, model: str | None, as_json: bool, watch: bool) -> None:
    """Print the state, with ``watch`` again each second until Ctrl-C. Raises SettingError."""
    asyncio.run(_show(Wanted.read(account, model), as_json=as_json, watch=watch))


def set_limit(text: str, *, account: str | None, model: str | None) -> str:
    """Make ``text`` the limit. What to print about it. Raises SettingError."""
    return asyncio.run(_set_limit(Wanted.read(account, model), text))


# -- the limit ----------------------------------------------------------------------------


async def _set_limit(wanted: Wanted, text: str) -> str:
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
