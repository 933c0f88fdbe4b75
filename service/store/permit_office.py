"""What may be done with an account's permits without holding or wanting one.

For supervisors, operators and tests: a fence notice, another tier, a look at the whole.
"""

import hashlib
import re

import msgspec

from service.core.errors import SettingError
from service.store import keys
from service.store.connection import Argument, Commands
from service.store.functions import Library
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


def checked_name(name: str) -> str:
    """``name`` if it can stand in a key. Raises SettingError."""
    if not NAME.fullmatch(name):
        raise SettingError(
            f"a session is 1 to 64 of [A-Za-z0-9_.-], a letter or digit first, not {name!r}"
        )
    return name


def key_part(model: str) -> str:
    """A model's name as keys have it: braces and spaces would break the hash tag."""
    return model if NAME.fullmatch(model) else hashlib.sha256(model.encode()).hexdigest()[:12]


class SessionState(msgspec.Struct):
    """``state``: live or quarantined. ``due_ms``: until its lease or its quarantine ends."""

    state: str
    held: int
    unseen: int
    waiting: int
    due_ms: int


class PermitsState(msgspec.Struct):
    """The semaphore at one moment. ``used`` is all that counts: held, quarantined, lingering."""

    epoch: str = ""
    tier: int = 0
    limit: int = 0  # the tier, less what the provider refused of late
    admissible: int = 0  # the limit, or while an epoch recovers what has been registered again
    recovering: bool = False
    hold_ms: float = 0
    used: int = 0
    background: int = 0
    waiting_live: int = 0
    waiting_background: int = 0
    absent: str = ""
    sessions: dict[str, SessionState] = {}

    @property
    def held(self) -> int:
        return sum(s.held for s in self.sessions.values() if s.state == "live")

    @property
    def quarantined(self) -> int:
        return sum(s.held for s in self.sessions.values() if s.state == "quarantined")

    @property
    def lingering(self) -> int:
        return self.used - self.held - self.quarantined

    @property
    def waiting(self) -> int:
        return self.waiting_live + self.waiting_background


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

    async def set_tier(self, tier: int) -> None:
        """Change the tier at once, for all workers. Lowering it makes debt and ends nothing."""
        await self._operate("t", checked_tier(tier))

    async def state(self) -> PermitsState:
        raw = await self._commands.call(self._view, self.keys, [])
        return msgspec.json.decode(raw, type=PermitsState) if raw else PermitsState()

    async def _operate(self, *words: Argument) -> Reply:
        return await self.step("", [0, "", 0, 0, *self.timing.words(), *words])
