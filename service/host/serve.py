"""`parley serve`: workers on a Redis that others may share. Nothing is guessed."""

import asyncio
import os
import sys
from collections.abc import Mapping

from service.core.errors import SettingError
from service.host import logs
from service.host.addresses import is_loopback, reachable, shown
from service.host.folder import Claim, prepare
from service.host.plan import APPLICATION, Plan, child_environ
from service.host.port import Port
from service.host.supervisor import Supervisor
from service.host.valkey import EmbeddedValkey
from service.settings import Settings, load
from service.sites import load_sites

EVERYBODY = "0.0.0.0"
MARGIN_S = 0.5  # of PARLEY_DRAIN_S, for the interpreter's own end


def serve(environ: Mapping[str, str] = os.environ, *, application: str = APPLICATION) -> int:
    """Run until a signal; the exit status. Raises SettingError where it cannot start."""
    settings = load(environ)
    check(settings, environ)
    logs.set_up(settings.log_level, settings.log_format)
    host = settings.host or EVERYBODY
    claim = Claim.take(prepare(settings.data), "serve") if settings.embedded else None
    try:
        port = Port.take(host, settings.port, "serve")
        return asyncio.run(_serve(settings, environ, host, port, claim, application))
    finally:
        if claim is not None:
            claim.drop()


def check(settings: Settings, environ: Mapping[str, str]) -> None:
    """Raise SettingError for the first thing that `serve` needs and does not have."""
    if settings.redis_url and settings.embedded:
        name = "PARLEY_REDIS_URL" if environ.get("PARLEY_REDIS_URL") else "REDIS_URL"
        raise SettingError(
            f"{name} and PARLEY_EMBEDDED=1 are both set, and there can be one Redis: unset one"
        )
    if not settings.redis_url and not settings.embedded:
        raise SettingError(
            "PARLEY_REDIS_URL is not set: serve needs a Redis >= 7.2 or Valkey >= 8, such as "
            "PARLEY_REDIS_URL=redis://127.0.0.1:6379/0 (or PARLEY_EMBEDDED=1 on a single host)"
        )
    if settings.sites is None:
        raise SettingError(
            "PARLEY_SITES is not set: serve needs the file that declares your shops, such as "
            "PARLEY_SITES=sites.toml"
        )
    load_sites(settings.sites, frame_bytes=settings.frame_bytes)
    if not settings.model_key and not is_loopback(settings.model_url):
        raise SettingError(
            "PARLEY_MODEL_KEY is not set: serve needs the model account's key (or, to try things, "
            "PARLEY_MODEL_URL=http://127.0.0.1:8100 and a `parley simulate` there)"
        )


async def _serve(
    settings: Settings,
    environ: Mapping[str, str],
    host: str,
    port: Port,
    claim: Claim | None,
    application: str,
) -> int:
    valkey = EmbeddedValkey(claim, _say) if claim is not None else None
    url = valkey.url if valkey is not None else settings.redis_url
    assert url is not None, "checked before"
    changed = {"PARLEY_REDIS_URL": url, "PARLEY_EMBEDDED": "0", "PORT": str(port.number)}
    workers_environ = child_environ(environ, changed)
    plan = Plan(
        command="serve",
        settings=load(workers_environ),
        environ=workers_environ,
        stop_s=max(0.0, settings.drain_s - MARGIN_S),
        rolls=True,
        application=application,
    )

    def up(supervisor: Supervisor) -> None:
        pids = ", ".join(f"{worker.name} (pid {worker.pid})" for worker in supervisor.workers)
        where = reachable(host, port.number)
        _say(f"serving {host} port {port.number} ({where}) with {pids}; Redis at {shown(url)}")

    return await Supervisor(plan, port, [valkey] if valkey is not None else [], up=up).run()


def _say(line: str) -> None:
    print(f"parley: {line}", file=sys.stderr, flush=True)
