"""`parley workers`: who is alive, by the Redis setting, else by PARLEY_DATA."""

import asyncio
import os
from collections.abc import Mapping

import msgspec

from service.core.errors import SettingError
from service.host.cards import living_workers
from service.host.folder import instance_url
from service.host.screen import workers_table
from service.settings import load


def listing(environ: Mapping[str, str] = os.environ, *, as_json: bool) -> str:
    """The text to print. Raises SettingError where there is no instance to ask."""
    settings = load(environ)
    url = settings.redis_url or instance_url(settings.data)
    if url is None:
        raise SettingError(
            f"PARLEY_DATA={settings.data}: no Parley runs there: start `parley demo`, or set "
            f"PARLEY_REDIS_URL to the Redis of the one that you mean"
        )
    cards = asyncio.run(living_workers(url))
    return msgspec.json.encode(cards).decode() if as_json else workers_table(cards)
