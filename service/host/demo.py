"""`parley demo`: everything on one machine with one command, no key and no setting.

An embedded Valkey with its data in PARLEY_DATA, the simulator in the model's place, the workers,
and a sample shop. Every setting is honoured: PARLEY_REDIS_URL takes the place of the embedded
Valkey (REDIS_URL, which platforms set for other programs, does not), PARLEY_MODEL_KEY that of the
simulator, PARLEY_SITES that of the sample shop's own declaration.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import service
from service.host import logs
from service.host.companion import Companion
from service.host.folder import Claim, prepare
from service.host.plan import APPLICATION, Plan, child_environ
from service.host.port import Port
from service.host.screen import Screen
from service.host.simulated import SIMULATED_KEY, Simulator
from service.host.supervisor import Supervisor
from service.host.valkey import EmbeddedValkey
from service.settings import Settings, load
from service.sites import load_sites

HERE = "127.0.0.1"
SITES = Path(service.__file__).parent / "demo" / "sites.toml"
STOP_S = 4.5  # gone within five seconds, whatever peers do


def demo(environ: Mapping[str, str] = os.environ, *, application: str = APPLICATION) -> int:
    """Run until a signal; the exit status. Raises SettingError where it cannot start."""
    environ = quiet(environ)
    settings = load(environ, redis_fallback=False)
    load_sites(settings.sites or SITES, frame_bytes=settings.frame_bytes)
    logs.set_up(settings.log_level, settings.log_format)
    claim = None if settings.redis_url else Claim.take(prepare(settings.data), "demo")
    try:
        port = Port.take(settings.host or HERE, settings.port, "demo")
        return asyncio.run(_demo(settings, environ, port, claim, application))
    finally:
        if claim is not None:
            claim.drop()


def quiet(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Logs for people, and only what is out of the ordinary, unless the settings say otherwise."""
    return {
        **environ,
        "PARLEY_LOG_LEVEL": environ.get("PARLEY_LOG_LEVEL") or "warning",
        "PARLEY_LOG_FORMAT": environ.get("PARLEY_LOG_FORMAT") or "text",
    }


async def _demo(
    settings: Settings,
    environ: Mapping[str, str],
    port: Port,
    claim: Claim | None,
    application: str,
) -> int:
    screen = Screen()
    companions: list[Companion] = []
    changed = {"PORT": str(port.number), "PARLEY_SITES": str(settings.sites or SITES)}
    valkey = EmbeddedValkey(claim, screen.step) if claim is not None else None
    if valkey is not None:
        companions.append(valkey)
        changed["PARLEY_REDIS_URL"] = valkey.url
    simulator = None if settings.model_key else Simulator(settings)
    if simulator is not None:
        companions.append(simulator)
        changed |= {"PARLEY_MODEL_URL": simulator.url, "PARLEY_MODEL_KEY": SIMULATED_KEY}
    workers_environ = child_environ(environ, changed)
    plan = Plan(
        command="demo",
        settings=load(workers_environ),
        environ=workers_environ,
        stop_s=min(STOP_S, settings.drain_s),
        demo=True,
        application=application,
    )

    def up(supervisor: Supervisor) -> None:
        screen.table(supervisor, valkey=valkey, simulator=simulator)

    screen.step("starting …")
    status = await Supervisor(plan, port, companions, up=up).run()
    screen.step("stopped; nothing of it is left running")
    return status
