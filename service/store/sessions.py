"""What a customer holds: a token for sockets, and a handle to come back with.

Both are 256 random bits, and only their SHA-256 is stored. A token opens sockets to one
conversation for as many idle days as the setting says. A handle is redeemed for a new token and its
own successor; `lua/redeem.lua` says when a copied one is noticed. A token of an older generation
than its conversation's is void, which is how all of them end at once.
"""

import hashlib
import secrets

import msgspec
import orjson

from service.core.errors import BadToken, ConversationGone
from service.store import keys
from service.store.connection import Commands
from service.store.log import Log

DAY_S = 86_400


class Session(msgspec.Struct, frozen=True):
    """A customer's new session; ``resumed`` where the handle led to a conversation."""

    token: str
    conversation: str
    resume: str
    resumed: bool


class Bearer(msgspec.Struct, frozen=True):
    """What a good token stands for."""

    conversation: str
    site: str
    generation: int


class Sessions:
    """Issues and redeems tokens and handles."""

    def __init__(self, commands: Commands, log: Log, *, days: int) -> None:
        self._commands = commands
        self._log = log
        self._lives_s = days * DAY_S

    async def start(self, site: str, *, resume: str | None, retention_s: int) -> Session:
        """A session for a customer of ``site``: of the handle's conversation, else of a new one.

        An unknown, foreign or revoked handle gives a new conversation, never an error.
        """
        successor = secrets.token_urlsafe(32)
        if resume:
            found = await self._redeem(site, resume, successor)
            if found is not None:
                conversation, generation = found
                token = await self._issue(conversation, site, generation, successor)
                return Session(token, conversation, successor, True)
        conversation = secrets.token_urlsafe(16)
        generation = await self._log.begin(
            conversation, epoch=secrets.token_hex(6), site=site, retention_s=retention_s
        )
        await self._log.redeem(
            conversation, used="", successor=digest(successor), lives_s=self._lives_s
        )
        token = await self._issue(conversation, site, generation, successor)
        return Session(token, conversation, successor, False)

    async def check(self, token: str) -> Bearer:
        """What ``token`` stands for, its idle days begun anew. Raises BadToken."""
        reply = await self._commands.send("GETEX", keys.token(digest(token)), "EX", self._lives_s)
        if reply is None:
            raise BadToken("unknown or expired")
        bearer = msgspec.convert(orjson.loads(reply), Bearer)
        names = keys.conversation(bearer.conversation)
        generation = await self._commands.send("HGET", names.meta, "generation")
        if generation is None or int(generation) != bearer.generation:
            raise BadToken("revoked, or its conversation is no more")
        return bearer

    async def _redeem(self, site: str, handle: str, successor: str) -> tuple[str, int] | None:
        used = digest(handle)
        reply = await self._commands.send("GET", keys.handle(used))
        if reply is None:
            return None
        bearer = msgspec.convert(orjson.loads(reply), Bearer)
        if bearer.site != site:
            return None
        try:
            generation = await self._log.redeem(
                bearer.conversation, used=used, successor=digest(successor), lives_s=self._lives_s
            )
        except ConversationGone:
            return None
        return None if generation is None else (bearer.conversation, generation)

    async def _issue(self, conversation: str, site: str, generation: int, handle: str) -> str:
        token = secrets.token_urlsafe(32)
        value = orjson.dumps(msgspec.to_builtins(Bearer(conversation, site, generation)))
        stored = [
            self._commands.send("SET", key, value, "EX", self._lives_s)
            for key in (keys.token(digest(token)), keys.handle(digest(handle)))
        ]
        for reply in stored:
            await reply
        return token


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
