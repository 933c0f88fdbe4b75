"""A turn to run, and how its answer ends."""

import msgspec

from service.core.model import OpenTurn, Position, Site, Source


class Job(msgspec.Struct, frozen=True):
    """A turn to run. ``flow`` is who asks, for fairness.

    An adopted turn comes with the text it had shown and the position it was adopted at.
    """

    conversation: str
    site: Site
    turn: OpenTurn
    flow: str
    shown: str = ""
    position: Position | None = None


class Ending(msgspec.Struct, frozen=True):
    """How the answer ends: the reason on the wire, sources, and a notice's code, or ""."""

    reason: str
    sources: tuple[Source, ...] = ()
    notice: str = ""
    values: dict[str, object] = {}
