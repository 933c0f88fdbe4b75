"""What workers tell each other of a conversation, on its channel.

All of it is only a hint: it may be lost. What was logged is in the log; what is shown in passing is
shown again; a stop leaves a mark. The first line of a message says what it is and which worker's
session sent it; the rest is its content.
"""

import msgspec


class Logged(msgspec.Struct, frozen=True):
    """Frames ``first``, ``first`` + 1, … of the log, as the functions under `lua/` publish them."""

    session: str
    epoch: str
    first: int
    frames: tuple[bytes, ...]


class Shown(msgspec.Struct, frozen=True):
    """A frame that is shown in passing and not logged: the place in the queue, what goes on."""

    session: str
    frame: bytes


class Stopped(msgspec.Struct, frozen=True):
    """The customer wants answer ``m`` to stop."""

    session: str
    m: int


class Asked(msgspec.Struct, frozen=True):
    """A socket came: whoever owns the turn shows again what is shown in passing."""

    session: str


class Revoked(msgspec.Struct, frozen=True):
    """All tokens of the conversation are void: its sockets end."""

    session: str


class GivenAway(msgspec.Struct, frozen=True):
    """The open turn's owner has given it away in good order: whoever wants it may adopt it."""

    session: str


Hint = Logged | Shown | Stopped | Asked | Revoked | GivenAway
OF_ALL = (Stopped, Revoked)  # the functions say them, so their own worker must hear them too


def shown(session: str, frame: bytes) -> bytes:
    return b"E %b\n%b" % (session.encode(), frame)


def asked(session: str) -> bytes:
    return b"A %b\n" % session.encode()


def parse(message: bytes) -> Hint | None:
    """None for what a newer version may say."""
    head, _, rest = message.partition(b"\n")
    try:
        match head.decode().split(" "):
            case ["L", session, epoch, first]:
                return Logged(session, epoch, int(first), tuple(rest.split(b"\n")))
            case ["E", session]:
                return Shown(session, rest)
            case ["S", session]:
                return Stopped(session, int(rest))
            case ["A", session]:
                return Asked(session)
            case ["R", session]:
                return Revoked(session)
            case ["O", session]:
                return GivenAway(session)
    except ValueError:
        return None
    return None
