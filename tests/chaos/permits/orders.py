"""What a worker process of the rig is told, and what it tells at its end. Both travel as JSON."""

import msgspec


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """``hold_ms``: how long a request lasts at the upstream, drawn anew for each.

    ``cancelled`` is the share of requests whose caller goes at a random moment, most of them while
    they wait. ``release_s``, ``linger_s``, ``lease_s``, ``heartbeat_s`` as in ``Timing``.
    ``lease_only`` loads the functions without the quarantine.
    """

    url: str  # of Redis
    session: str
    upstream: str  # base of the model's API
    tier: int
    callers: int
    hold_ms: tuple[int, int]
    seed: str
    cancelled: float = 0.0
    release_s: float = 0.0
    linger_s: float = 1.0
    lease_s: float = 5.0
    heartbeat_s: float = 1.0
    answers: str = "light"  # see ``ANSWERS``
    lease_only: bool = False


class Account(msgspec.Struct):
    """What one process saw. ``refused`` and ``failed`` count by provider's code and by error."""

    answered: int = 0
    given_up: int = 0  # cancelled while they waited
    cut: int = 0  # cancelled in mid-answer
    refused: dict[str, int] = {}
    failed: dict[str, int] = {}
    waits_ms: list[int] = []
