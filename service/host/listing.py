"""`parley workers`: who is alive, by the Redis setting, else by PARLEY_DATA."""

import asyncio
import os
from collections.abc import Mapping

import msgspec

from service.host.cards import living_workers
from service.host.permits_instance import instance_redis
from service.host.screen import workers_table
from service.settings import load


def listing(environ: Mapping[str, str] = os.environ, *, as_json: bool) -> str:
    """The text to print. Raises SettingError where there is no instance to ask."""
    cards = asyncio.run(living_workers(instance_redis(load(environ))))
    return msgspec.json.encode(cards).decode() if as_json else workers_table(cards)
