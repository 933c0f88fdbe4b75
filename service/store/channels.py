"""The channels on which workers hint to each other that a conversation went on."""

from collections.abc import Callable

from service.core import hints
from service.core.errors import StoreUnavailable
from service.store import keys
from service.store.connection import Commands
from service.store.subscriber import Subscriber


class Channels:
    """Follows conversations through the worker's subscriber, and speaks on their channels."""

    def __init__(self, commands: Commands, subscriber: Subscriber, *, session: str) -> None:
        self.session = session
        self._commands = commands
        self._subscriber = subscriber

    async def follow(self, conversation: str, receive: Callable[[hints.Hint], None]) -> None:
        """Call ``receive`` with each hint of other workers. Raises StoreUnavailable."""

        def parsed(message: bytes) -> None:
            hint = hints.parse(message)
            if hint is not None and (
                hint.session != self.session or isinstance(hint, hints.OF_ALL)
            ):
                receive(hint)

        await self._subscriber.follow(keys.conversation(conversation).channel, parsed)

    async def leave(self, conversation: str) -> None:
        await self._subscriber.leave(keys.conversation(conversation).channel)

    async def show(self, conversation: str, frame: bytes) -> None:
        """Show ``frame`` in passing on every worker that follows the conversation."""
        await self._speak(conversation, hints.shown(self.session, frame))

    async def ask(self, conversation: str) -> None:
        """Have the owner of the turn show again what it shows in passing."""
        await self._speak(conversation, hints.asked(self.session))

    async def _speak(self, conversation: str, message: bytes) -> None:
        channel = keys.conversation(conversation).channel
        try:
            await self._commands.send("SPUBLISH", channel, message)
        except StoreUnavailable:
            return  # it was only a hint
