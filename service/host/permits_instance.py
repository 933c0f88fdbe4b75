"""Which permits an operator means: the instance's Redis, and in it the account and model.

Workers name an account by a hash of the model's URL and key. An operator's shell often has neither:
the demo's simulator has an address of its own, and a service's key is the service's secret. So
where the settings do not lead to permits that are in use, those that exist are looked for.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec

from service.core.errors import SettingError, StoreError
from service.host.addresses import shown
from service.host.cards import MEET_S, SCAN_COUNT, Card
from service.host.folder import instance_url
from service.settings import Settings
from service.store import keys
from service.store.connection import Commands
from service.store.permit_office import PermitOffice, account_name, key_part
from service.store.permit_steps import Timing

META = keys.permits("*", "*").meta
NAMED = re.compile(re.escape(META).replace(r"\*", r"([^:{}]+)"))


class Semaphore(NamedTuple):
    """One semaphore, as its keys name it."""

    account: str
    model: str

    def office(self, commands: Commands, settings: Settings) -> PermitOffice:
        timing = Timing(linger_s=settings.abort_linger_s, release_s=settings.release_linger_s)
        return PermitOffice(commands, account=self.account, model=self.model, timing=timing)


def instance_redis(settings: Settings) -> str:
    """The URL of the instance's Redis. Raises SettingError where there is no instance to ask."""
    url = settings.redis_url or instance_url(settings.data)
    if url is None:
        raise SettingError(
            f"PARLEY_DATA={settings.data}: no Parley runs there: start `parley demo`, or set "
            f"PARLEY_REDIS_URL to the Redis of the one that you mean"
        )
    return url


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Commands]:
    """A connection that is up. Raises SettingError where Redis does not answer, then or later."""
    try:
        async with Commands.open(url, name="parley-permits") as commands:
            await _meet(commands, url)
            yield commands
    except StoreError as error:
        raise SettingError(f"Redis at {shown(url)}: {error}") from error


async def _meet(commands: Commands, url: str) -> None:
    try:
        async with asyncio.timeout(MEET_S):
            await commands.wait_up()
    except TimeoutError as error:
        raise SettingError(f"Redis at {shown(url)} does not answer") from error


async def find(
    commands: Commands, settings: Settings, *, account: str | None, model: str | None
) -> Semaphore:
    """The semaphore that is meant. Raises SettingError where it is none, or not certain which.

    What ``account`` and ``model`` leave open the settings say. Where that leads nowhere, or only to
    permits that nobody uses and that nobody named, those that there are decide: the only ones, or
    the only ones in use.
    """
    meant = Semaphore(
        account or account_name(settings.model_url, settings.api_key),
        key_part(model or settings.model),
    )
    named = account is not None or settings.model_key is not None
    exists = await commands.send("EXISTS", keys.permits(*meant).meta)
    if exists and (named or await _workers(commands, meant)):
        return meant
    known = await _known(commands)
    fitting = [
        one
        for one in known
        if one.account == (account or one.account) and (not model or one.model == meant.model)
    ]
    if len(fitting) == 1:
        return fitting[0]
    used = [one for one in fitting if await _workers(commands, one)]
    if len(used) == 1:
        return used[0]
    raise SettingError(await _which(commands, fitting or known, asked=not fitting))


async def _known(commands: Commands) -> list[Semaphore]:
    """Every semaphore in this Redis, by name."""
    found: set[Semaphore] = set()
    place: bytes | str = "0"
    while True:
        place, names = await commands.send("SCAN", place, "MATCH", META, "COUNT", SCAN_COUNT)
        for name in names:
            match = NAMED.fullmatch(name.decode("utf-8", "replace"))
            if match is not None:
                found.add(Semaphore(match[1], match[2]))
        if place in (b"0", "0"):
            return sorted(found)


async def _workers(commands: Commands, one: Semaphore) -> int:
    """How many living workers use it, as their cards say."""
    sessions = await commands.send("HKEYS", keys.permits(*one).sessions)
    return len(await cards_of(commands, [name.decode() for name in sessions]))


async def cards_of(commands: Commands, sessions: list[str]) -> dict[str, Card]:
    """The cards of those ``sessions`` whose workers live."""
    texts = await asyncio.gather(
        *(commands.send("GET", keys.worker_card(session)) for session in sessions)
    )
    return {
        session: msgspec.json.decode(text, type=Card)
        for session, text in zip(sessions, texts, strict=True)
        if text is not None
    }


async def _which(commands: Commands, known: list[Semaphore], *, asked: bool) -> str:
    """One line that says what there is to choose from."""
    if not known:
        return "this Redis has no permits yet: no worker has registered there"
    choices = [
        f"--account {one.account} --model {one.model} ({await _workers(commands, one)} workers)"
        for one in known
    ]
    why = "there are no such permits" if asked else "there are several accounts or models"
    return f"{why}: name one: {', or '.join(choices)}"
