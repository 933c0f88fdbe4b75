"""What a customer may ask for, one method a command.

Each returns the frames for the asking socket alone; what was logged reaches every socket through
the conversation's feed. A message may be sent again at will: it is known by its id.
"""

import asyncio
from typing import assert_never

import msgspec

from service.core import commands, languages, wire
from service.core.errors import BadCommand, IdentifyUnavailable
from service.core.model import Site, Written
from service.core.texts import text as words
from service.flows.feed import Feed, Feeds
from service.flows.job import Job
from service.flows.ports import Log
from service.flows.turn import Turns

HISTORY = 50  # messages in one reply to `history`


class Customer(msgspec.Struct, frozen=True):
    """Who speaks on a socket: on which site, from which address, in which language."""

    conversation: str
    site: Site
    address: str
    locale: str


class Limits(msgspec.Struct, frozen=True):
    """The defaults, where a site does not say otherwise."""

    message_units: int
    messages_per_minute: int

    def units(self, site: Site) -> int:
        return site.limits.message_units or self.message_units

    def a_minute(self, site: Site) -> int:
        return site.limits.messages_per_minute or self.messages_per_minute


class CustomerCommands:
    """Does what customers ask for."""

    def __init__(self, log: Log, feeds: Feeds, turns: Turns, limits: Limits) -> None:
        self._log = log
        self._feeds = feeds
        self._turns = turns
        self.limits = limits
        self._doing: set[asyncio.Task[list[bytes]]] = set()

    async def do(
        self, customer: Customer, feed: Feed, command: commands.CustomerCommand
    ) -> list[bytes]:
        """Frames for the asking socket. Raises CommandRefused or StoreError.

        What was begun is done to its end, even if the socket goes meanwhile: the log's reply may
        hold a turn that this worker is to run.
        """
        task = asyncio.create_task(self._do(customer, feed, command))
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)
        return await asyncio.shield(task)

    async def _do(
        self, customer: Customer, feed: Feed, command: commands.CustomerCommand
    ) -> list[bytes]:
        match command:
            case commands.SendMessage():
                return await self._send(customer, feed, command)
            case commands.StopAnswer(m=m):
                await self._log.stop(customer.conversation, m)
            case commands.RetryAnswer(m=m):
                written = await self._log.retry(customer.conversation, feed.top, m=m)
                self._took(customer, feed, written)
            case commands.RateAnswer(m=m, value=value):
                self._feeds.wrote(
                    feed,
                    await self._log.rate(customer.conversation, feed.top, m=m, value=value),
                )
            case commands.History(before=before):
                return [await self._history(customer, before)]
            case commands.RequestHandoff():
                await self._offer_contact(customer, feed)
            case commands.EndConversation():
                self._feeds.wrote(feed, await self._log.resolve(customer.conversation, feed.top))
            case commands.Identify():
                raise IdentifyUnavailable("this site has no key for identities")
            case commands.Ping(n=n):
                return [wire.pong(n)]
            case commands.Typing() | commands.Read():
                return []  # for people at the desk
            case commands.Hello():
                raise BadCommand("hello is the socket's own")
            case _:
                assert_never(command)
        return []

    async def _send(
        self, customer: Customer, feed: Feed, message: commands.SendMessage
    ) -> list[bytes]:
        commands.check_message(message, most_units=self.limits.units(customer.site))
        language = languages.guess(message.text, prior=customer.locale)
        accepted = await self._log.accept(
            customer.conversation,
            feed.top,
            id=message.id,
            message=wire.customer_message(message.id, message.text, language),
            a_minute=self.limits.a_minute(customer.site),
        )
        self._took(customer, feed, accepted.written)
        return [wire.ack(message.id, accepted.m, accepted.offset, duplicate=accepted.duplicate)]

    def _took(self, customer: Customer, feed: Feed, written: Written) -> None:
        """Take in a write, and run the turn that it opened."""
        self._feeds.wrote(feed, written)
        if written.turn is not None:
            flow = f"{customer.site.key} {customer.address}"
            self._turns.start(Job(customer.conversation, customer.site, written.turn, flow))

    async def _history(self, customer: Customer, before: int) -> bytes:
        if before < 1:
            raise BadCommand("before wants a message's number")
        found = await self._log.messages(customer.conversation, before=before, count=HISTORY)
        return wire.history(found)

    async def _offer_contact(self, customer: Customer, feed: Feed) -> None:
        """Nobody can come yet: say how else to reach the shop."""
        code = "handoff_unavailable" + ("" if customer.site.contact else "_no_contact")
        said = words(code, customer.locale, contact=customer.site.contact)
        notice = wire.notice("handoff_unavailable", said, customer.locale)
        self._feeds.wrote(feed, await self._log.notice(customer.conversation, feed.top, notice))
