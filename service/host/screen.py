"""What `parley demo` and `parley workers` print for people."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from service.host.addresses import reachable, shown
from service.settings import TIERS

if TYPE_CHECKING:
    from service.host.cards import Card
    from service.host.simulated import Simulator
    from service.host.supervisor import Supervisor
    from service.host.valkey import EmbeddedValkey

LABEL = 10  # characters of the left column


class Screen:
    """Lines on standard output, coloured on a terminal only."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        click.echo(f"{click.style('parley', bold=True)}  {text}")

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
        click.echo()
        for label, value, remark in [
            ("Shop", _link(reachable(settings.host or "127.0.0.1", port)), "click the chat, ask"),
            ("", _link(f"http://shop.localhost:{port}/"), "the same shop, as a foreign origin"),
            ("Workers", _processes(supervisor), ""),
            ("Model", *_model(supervisor, simulator)),
            ("Valkey", *_valkey(supervisor, valkey)),
            ("Data", _data(supervisor, valkey), "conversations are kept over a restart"),
            ("Stop", "Ctrl-C", "everything ends with it"),
        ]:
            said = f"  {click.style(label.ljust(LABEL), dim=True)}{value}"
            click.echo(f"{said}  {click.style(remark, dim=True)}" if remark and value else said)
        click.echo()
        self.step(f"up in {took_s:.1f} s")


def _link(url: str) -> str:
    return click.style(url, fg="cyan", underline=True)


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


def _data(supervisor: "Supervisor", valkey: "EmbeddedValkey | None") -> str:
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
