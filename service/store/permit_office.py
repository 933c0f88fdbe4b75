"""What may be done with an account's permits without holding or wanting one.

For supervisors, operators and tests: a fence notice, a limit, a look at the whole.
"""

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache

import msgspec

from service.core.errors import LimitAboveTier, SettingError, TierUnknown
from service.core.permit_errors import PermitsSchema
from service.store import keys
from service.store.connection import Argument, Commands
from service.store.functions import Library
from service.store.permit_state import PermitsState
from service.store.permit_steps import Reply, Timing, library, read_reply

TIER_MAX = 100_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}")


def account_name(model_url: str, model_key: str) -> str:
    """The account as keys name it: the same for every worker that uses this key at this URL."""
    return hashlib.sha256(f"{model_url.rstrip('/')} {model_key}".encode()).hexdigest()[:12]


def checked_tier(tier: object) -> int:
    """``tier`` if it can be one. Raises SettingError."""
    if not isinstance(tier, int) or isinstance(tier, bool) or not 1 <= tier <= TIER_MAX:
        raise SettingError(
            f"a tier is a whole number from 1 to {TIER_MAX}, such as 50; not {tier!r}"
        )
    return tier


def checked_limit(limit: object) -> int:
    """``limit`` if it can be one. Raises SettingError."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= TIER_MAX:
        raise SettingError(
            f"a limit is a whole number from 1 to the account's tier, such as 40; not {limit!r}"
        )
    return limit


def checked_name(name: str) -> str:
    """``name`` if it can stand in a key. Raises SettingError."""
    if not NAME.fullmatch(name):
        raise SettingError(
            f"a session is 1 to 64 of [A-Za-z0-9_.-], a letter or digit first, not {name!r}"
        )
    return name


@lru_cache(maxsize=4096)  # a flow asks again and again
def flow_name(flow: str) -> str:
    """A flow as the record has it: bounded, and no customer's address.

    Before its first blank stands the site, which stays, so that queues can be shown by site.
    """
    site = flow.partition(" ")[0]
    return f"{key_part(site)}~{hashlib.sha256(flow.encode()).hexdigest()[:12]}"


def key_part(model: str) -> str:
    """A model's name as keys have it: braces and spaces would break the hash tag."""
    return model if NAME.fullmatch(model) else hashlib.sha256(model.encode()).hexdigest()[:12]


class PermitOffice:
    """The permits of one (account, model) from outside. ``model`` as the provider names it."""

    def __init__(
        self,
        commands: Commands,
        *,
        account: str,
        model: str,
        timing: Timing | None = None,
        functions: Library | None = None,
    ) -> None:
        self.timing = timing or Timing()
        self._named = account, key_part(model)
        self.keys = keys.permits(*self._named)
        self._commands = commands
        functions = functions or library()
        self._step = functions.function("permits")
        self._view = functions.function("permits_view")

    def inbox(self, session: str) -> str:
        """The stream of the grants that other workers' steps make for ``session``."""
        return keys.permits_inbox(*self._named, session)

    async def step(self, session: str, words: list[Argument]) -> Reply:
        """One call of the function. Raises StoreUnavailable: done or not is then unknown."""
        return read_reply(await self._commands.call(self._step, self.keys, [session, *words]))

    async def fence(self, session: str) -> str:
        """Say that ``session`` has no socket open any more, nor ever will. Returns the epoch.

        Its permits are free after the linger. Who repeats the notice in another epoch, within the
        life of a request, shortens the wait for a session that a new server cannot know of.
        """
        return (await self._operate("f", checked_name(session))).epoch

    async def expect(self, session: str) -> None:
        """Say that ``session`` lives: an epoch that has not heard of it waits for it."""
        await self._operate("e", checked_name(session))

    async def set_limit(self, limit: int) -> None:
        """Let no more than ``limit`` requests be in flight, at once, for all workers.

        The tier takes the limit away. Lowering makes debt and ends nothing. Raises SettingError,
        LimitAboveTier, or TierUnknown where no worker has registered yet.
        """
        reply = await self._operate("l", checked_limit(limit))
        if reply.status == "above":
            raise LimitAboveTier(
                f"a limit of {limit} is above the account's tier, {reply.configured} (PARLEY_TIER)"
            )
        if reply.status == "empty":
            raise TierUnknown("no worker has registered yet, so there is no tier to limit")

    async def state(self) -> PermitsState:
        raw = await self._commands.call(self._view, self.keys, [])
        return msgspec.json.decode(raw, type=PermitsState) if raw else PermitsState()

    def when_up(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call ``tell`` at each connection to Redis. Returns what ends that."""
        self._commands.on_up.append(tell)
        return lambda: self._commands.on_up.remove(tell)

    async def _operate(self, *words: Argument) -> Reply:
        reply = await self.step("", [0, "", 0, 0, *self.timing.words(), *words])
        if reply.status == "schema":
            raise PermitsSchema
        return reply
