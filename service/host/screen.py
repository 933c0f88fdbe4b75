"""What `parley demo` and `parley workers` print for people."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from service.core.parsers import TIERS
from service.host.addresses import reachable, shown
from service.settings import Settings

if TYPE_CHECKING:
    from service.host.cards import Card
    from service.host.simulated import Simulator
    from service.host.supervisor import Supervisor
    from service.host.valkey import EmbeddedValkey

LABEL = 10  # characters of the left column
WIDTH = 80  # characters of the terminals that people still have
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
        """What runs where, once it does."""
        settings = supervisor.plan.settings
        port = supervisor.port.number
        print()
        _row("Shop", reachable(settings.host or "127.0.0.1", port), "click the chat and ask", LINK)
        _row("", f"http://shop.localhost:{port}/", "the same shop, as a foreign origin", LINK)
        _row("Workers", ", ".join(f"{one.name} (pid {one.pid})" for one in supervisor.workers))
        _row("Model", *_model(settings, simulator))
        if valkey is None:
            _row("Redis", shown(settings.redis_url or ""), "PARLEY_REDIS_URL is set")
        else:
            _row("Valkey", f"{_near(valkey.socket)} (pid {valkey.pid})")
            _row("Data", f"{_near(valkey.folder)}/", "conversations are kept over a restart")
        _row("Stop", "Ctrl-C", "everything ends with it")
        print()
        took = f"up in {time.monotonic() - self._began:.1f} s"
        late = "; not every worker is ready yet, as /readyz tells"
        self.step(took if supervisor.ready else f"{took}{late}")


def _row(label: str, value: str, remark: str = "", style: str = "") -> None:
    begin = f"  {_styled(label.ljust(LABEL), FAINT)}"
    shown_value = _styled(value, style) if style else value
    if remark and 2 + LABEL + len(value) + 2 + len(remark) > WIDTH:
        print(f"{begin}{shown_value}")
        begin, shown_value = " " * LABEL, ""
    print(f"{begin}{shown_value}{f'  {_styled(remark, FAINT)}' if remark else ''}")


def _styled(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if text and sys.stdout.isatty() else text


def _near(path: Path) -> str:
    """``path`` from here where it is below here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _model(settings: Settings, simulator: "Simulator | None") -> tuple[str, str]:
    tier = next((f"{name}: " for name, limit in TIERS.items() if limit == settings.tier), "")
    limit = f"{tier}{settings.tier} at once"
    if simulator is None:
        return f"{settings.model} at {settings.model_url} ({limit})", "PARLEY_MODEL_KEY is set"
    about = f"simulator at {simulator.url} (pid {simulator.pid}, {limit})"
    return about, "set PARLEY_MODEL_KEY to talk to the real one"


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
