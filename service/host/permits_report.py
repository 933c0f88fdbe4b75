"""What `parley permits` knows, in the form that it prints as JSON. docs/cli.md lists the fields."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from service.core.account_alarms import advice
from service.host.cards import Card
from service.host.permits_instance import Semaphore
from service.store.permit_state import PermitsState

CLASSES = ("live", "background")  # in the order of service


class Wait(msgspec.Struct, frozen=True):
    """How long the newest ``count`` of a class waited for their permits."""

    count: int
    p50_ms: int
    p95_ms: int
    p99_ms: int
    max_ms: int


class Queue(msgspec.Struct, frozen=True, rename={"priority": "class"}):
    """Who waits for one site. ``first_place``: of the one among them who is served next."""

    site: str
    priority: str
    waiting: int
    first_place: int


class Session(msgspec.Struct, frozen=True):
    """One worker's share. ``state``: live, quarantined, or awaited by a recovering epoch.

    ``unseen``: grants that it has not confirmed. ``due_ms``: until its lease or quarantine ends.
    ``worker``, ``pid`` and ``host`` are null where no supervisor says that it lives.
    """

    session: str
    state: str
    held: int
    waiting: int
    unseen: int
    due_ms: int
    worker: str | None
    pid: int | None
    host: str | None


class Circuit(msgspec.Struct, frozen=True):
    """``state``: closed, open or probing. ``left_ms``: until the next request may try."""

    state: str
    code: str
    left_ms: int
    trips: int


class Blocked(msgspec.Struct, frozen=True):
    """The account is refused with ``code``: what that means and asks for is in ``advice``."""

    code: str
    since_ms: int
    times: int
    advice: str


class Refused(msgspec.Struct, frozen=True):
    """The provider's 1302 and 1303: how many generations of requests met one, the last when.

    ``lag_ms``: for so long a permit lingers after its request's end, learned from them.
    """

    times: int
    last_ms: int
    lag_ms: int


class Report(msgspec.Struct, frozen=True):
    """The permits of one account and model at one moment. Times are in milliseconds."""

    account: str
    model: str
    epoch: str
    schema: int
    tier: int
    cap: int
    limit: int
    admissible: int
    used: int
    held: int
    lingering: int
    quarantined: int
    background: int
    waiting: dict[str, int]
    recovering: bool
    absent: list[str]
    hold_ms: int
    why: list[str]
    circuit: Circuit
    blocked: Blocked | None
    refused: Refused | None
    waits: dict[str, Wait | None]
    queues: list[Queue]
    sessions: list[Session]


def report(of: Semaphore, state: PermitsState, cards: Mapping[str, Card]) -> Report:
    """``cards`` are those of the living workers, by session."""
    return Report(
        account=of.account,
        model=of.model,
        epoch=state.epoch,
        schema=state.schema,
        tier=state.tier,
        cap=state.cap,
        limit=state.limit,
        admissible=state.admissible,
        used=state.used,
        held=state.held,
        lingering=state.lingering,
        quarantined=state.quarantined,
        background=state.background,
        waiting={"live": state.waiting_live, "background": state.waiting_background},
        recovering=state.recovering,
        absent=sorted(state.absent),
        hold_ms=round(state.hold_ms),
        why=state.why(),
        circuit=_circuit(state),
        blocked=_blocked(state),
        refused=_refused(state),
        waits={name: _wait(state.waits.get(name, [])) for name in CLASSES},
        queues=_queues(state),
        sessions=_sessions(state, cards),
    )


def _circuit(state: PermitsState) -> Circuit:
    circuit = state.circuit
    code = str(circuit.code) if circuit.code else ""
    return Circuit(circuit.state, code, circuit.left_ms, circuit.trips)


def _blocked(state: PermitsState) -> Blocked | None:
    blocked = state.blocked
    if not blocked.code:
        return None
    code = str(blocked.code)
    return Blocked(code, blocked.since_ms, blocked.times, advice(code))


def _refused(state: PermitsState) -> Refused | None:
    refused = state.refused
    if not refused.times:
        return None
    return Refused(refused.times, refused.last_ms, refused.lag_ms)


def _wait(waits_ms: Sequence[int]) -> Wait | None:
    if not waits_ms:
        return None
    ordered = sorted(waits_ms)

    def percentile(share: float) -> int:
        """The least wait that so many of them did not exceed."""
        return ordered[math.ceil(share * len(ordered)) - 1]

    return Wait(len(ordered), percentile(0.5), percentile(0.95), percentile(0.99), ordered[-1])


def _queues(state: PermitsState) -> list[Queue]:
    queues = [Queue(one.site, one.priority, one.waiting, one.first) for one in state.queues]
    return sorted(queues, key=lambda one: (CLASSES.index(one.priority), -one.waiting, one.site))


def _sessions(state: PermitsState, cards: Mapping[str, Card]) -> list[Session]:
    """Workers by host and name, then those that no supervisor has; awaited ones are here, too."""
    known = {
        name: Session(
            name, one.state, one.held, one.waiting, one.unseen, one.due_ms, *_card(cards.get(name))
        )
        for name, one in state.sessions.items()
    }
    for name in state.absent:
        known.setdefault(name, Session(name, "awaited", 0, 0, 0, 0, *_card(cards.get(name))))
    return sorted(
        known.values(),
        key=lambda one: (one.worker is None, one.host or "", one.worker or "", one.session),
    )


def _card(card: Card | None) -> tuple[str | None, int | None, str | None]:
    return (card.name, card.pid, card.host) if card else (None, None, None)
