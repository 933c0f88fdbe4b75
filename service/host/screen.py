"""What `parley demo` and `parley workers` print for people."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from service.host.addresses import reachable, shown
from service.settings import TIERS

if TYPE_CHECKING:
    from service.host.cards import Card
    from service.host.simulated import Simulator
    from service.host.supervisor import Supervisor
    from service.host.valkey import EmbeddedValkey

LABEL = 10  # characters of the left column
BOLD, FAINT, LINK = "1", "2", "4;36"  # ANSI styles


class Screen:
    """Lines on standard output, coloured on a terminal only."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        print(f"{_styled('parley', BOLD)}  {text}", flush=True)

    def table(
        self,
        supervisor: "Supervisor",
        *,
        valkey: "EmbeddedValkey | None",
        simulator: "Simulator | None",
    ) -> None:
        settings = supervisor.plan.settings
        took_s = time.monotonic() - self._began
        port = supervisor.port.number
        print()
        for label, value, remark in [
            (
                "Shop",
                _styled(reachable(settings.host or "127.0.0.1", port), LINK),
                "click the chat, ask",
            ),
            (
                "",
                _styled(f"http://shop.localhost:{port}/", LINK),
                "the same shop, as a foreign origin",
            ),
            ("Workers", _processes(supervisor), ""),
            ("Model", *_model(supervisor, simulator)),
            ("Valkey", *_valkey(supervisor, valkey)),
            ("Data", _kept_in(supervisor, valkey), "conversations are kept over a restart"),
            ("Stop", "Ctrl-C", "everything ends with it"),
        ]:
            said = f"  {_styled(label.ljust(LABEL), FAINT)}{value}"
            print(f"{said}  {_styled(remark, FAINT)}" if remark else said)
        print()
        self.step(f"up in {took_s:.1f} s")


def _styled(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if sys.stdout.isatty() else text


def _processes(supervisor: "Supervisor") -> str:
    return ", ".join(f"{worker.name} (pid {worker.pid})" for worker in supervisor.workers)


def _model(supervisor: "Supervisor", simulator: "Simulator | None") -> tuple[str, str]:
    settings = supervisor.plan.settings
    tier = next((name for name, limit in TIERS.items() if limit == settings.tier), "")
    limit = f"{tier}: {settings.tier} at once" if tier else f"{settings.tier} at once"
    if simulator is None:
        return f"{settings.model} at {settings.model_url} ({limit})", "PARLEY_MODEL_KEY is set"
    about = f"simulator at {simulator.url} (pid {simulator.pid}, {limit})"
    return about, "set PARLEY_MODEL_KEY to talk to the real one"


def _valkey(supervisor: "Supervisor", valkey: "EmbeddedValkey | None") -> tuple[str, str]:
    if valkey is None:
        return shown(supervisor.plan.settings.redis_url or ""), "PARLEY_REDIS_URL is set"
    return f"{valkey.socket} (pid {valkey.pid})", ""


def _kept_in(supervisor: "Supervisor", valkey: "EmbeddedValkey | None") -> str:
    return f"{supervisor.plan.settings.data}/" if valkey is not None else "in that Redis"


def workers_table(cards: "Sequence[Card]") -> str:
    """`parley workers` for people."""
    if not cards:
        return "no worker runs"
    rows = [("NAME", "PID", "READY", "HOST")]
    rows += [(card.name, str(card.pid), "yes" if card.ready else "no", card.host) for card in cards]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
