"""Every setting, read once from the environment into one frozen object.

The variables are the rows of service/variables.py. A wrong value raises SettingError, whose one
line names the variable and a value that works.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from service.core import parsers
from service.core.errors import SettingError
from service.variables import VARIABLES

SIMULATED_KEY = "simulator.key"  # sent to an endpoint on this machine that asks for none
UNIT_BYTES = 6  # of a UTF-16 unit in a frame, where the client escapes it: `\ud83d`
FRAME_REST_BYTES = 2048  # of a frame, for what is not text: the id, the page's address


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows of ``VARIABLES`` say, by field name."""

    redis_url: str | None
    embedded: bool
    data: Path
    model_url: str
    model_key: str | None
    model: str
    tier: int
    sites: Path | None
    host: str | None
    port: int
    workers: int
    origin: str | None
    trusted_proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    drain_s: float
    abort_linger_s: float
    release_linger_s: float
    queue_wait_s: float
    context_tokens: int
    answer_tokens: int
    frame_bytes: int
    message_units: int
    messages_per_minute: int
    sockets_per_customer: int
    sockets_per_address: int
    sessions_per_minute: int
    session_days: int
    retention_days: int
    log_level: str
    log_format: str

    @property
    def api_key(self) -> str:
        """The account's key; without one, what the simulator takes."""
        return self.model_key or SIMULATED_KEY


def load(environ: Mapping[str, str], *, redis_fallback: bool = True) -> Settings:
    """Settings from ``environ``; REDIS_URL counts where ``redis_fallback`` is true.

    Raises SettingError for the first wrong value, and for an unknown PARLEY_* name.
    """
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        text = environ.get(variable.name, "") or variable.default
        if variable.name == "PARLEY_REDIS_URL" and not text and redis_fallback:
            text = environ.get("REDIS_URL", "")
        try:
            values[variable.field] = variable.parse(text)
        except ValueError as error:
            raise SettingError(f"{variable.name}={parsers.secretless(text)}: {error}") from error
    known = {variable.name for variable in VARIABLES} | OUTSIDE
    for name in sorted(environ):
        if name.startswith("PARLEY_") and name not in known:
            raise SettingError(f"{name} is no setting of Parley; docs/settings.md lists them")
    settings = Settings(**values)
    if settings.message_units > longest_message(settings.frame_bytes):
        raise SettingError(
            f"PARLEY_FRAME_BYTES={settings.frame_bytes}: too small for any message of "
            f"PARLEY_MESSAGE_UNITS={settings.message_units}, which may need "
            f"{settings.message_units * UNIT_BYTES + FRAME_REST_BYTES}"
        )
    return settings


def longest_message(frame_bytes: int) -> int:
    """UTF-16 units that surely fit a frame of so many bytes, escaped or not."""
    return (frame_bytes - FRAME_REST_BYTES) // UNIT_BYTES


# Read by the tests and the build, never by the server.
OUTSIDE = {"PARLEY_CHROMIUM"}
