"""What Prometheus reads at `/metrics`. docs/metrics.md lists the same names.

Where PROMETHEUS_MULTIPROC_DIR is set (the supervisor sets it) each worker answers for all of them:
a scrape reaches any one.
"""

import os

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

WAITS_S = (0.005, 0.05, 0.25, 1, 2.5, 5, 10, 20, 40, 80, 120)

registry = CollectorRegistry()

sockets = Gauge(
    "parley_sockets", "Customers' sockets that are open.",
    registry=registry, multiprocess_mode="livesum",
)  # fmt: skip
turns = Gauge(
    "parley_turns", "Turns that run or wait for a permit.",
    registry=registry, multiprocess_mode="livesum",
)  # fmt: skip
permits_held = Gauge(
    "parley_permits_held", "Model requests in flight.",
    registry=registry, multiprocess_mode="livesum",
)  # fmt: skip
ready = Gauge(
    "parley_ready", "Workers that would take a new customer.",
    registry=registry, multiprocess_mode="livesum",
)  # fmt: skip
messages = Counter("parley_messages", "Messages accepted.", ["site"], registry=registry)
refusals = Counter(
    "parley_refusals", "Commands, sockets and requests refused.", ["code"], registry=registry
)
answers = Counter("parley_answers", "Answers finished.", ["reason"], registry=registry)
adoptions = Counter("parley_adoptions", "Turns adopted from an owner gone.", registry=registry)
permit_waits = Histogram(
    "parley_permit_wait_seconds", "Wait for a permit.", registry=registry, buckets=WAITS_S
)
redis_reconnects = Counter(
    "parley_redis_reconnects", "Times that Redis had to be reached anew.", registry=registry
)


def exposition() -> bytes:
    """The text format, of this worker or of all workers of the instance."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
    return generate_latest(registry)
