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
    "parley_permit_wait_seconds", "Wait for a permit.", ["class"],
    registry=registry, buckets=WAITS_S,
)  # fmt: skip
redis_reconnects = Counter(
    "parley_redis_reconnects", "Times that Redis had to be reached anew.", registry=registry
)


# -- the permits --------------------------------------------------------------------------
# What all workers share each of them knows a little later than another: the newest word counts.

permits_used = Gauge(
    "parley_permits_used", "Permits that count: held, lingering, quarantined.",
    registry=registry, multiprocess_mode="livemostrecent",
)  # fmt: skip
permits_admissible = Gauge(
    "parley_permits_admissible", "Permits that may be used now.",
    registry=registry, multiprocess_mode="livemostrecent",
)  # fmt: skip
permits_limit = Gauge(
    "parley_permits_limit", "The tier, less what an operator or the provider took from it.",
    registry=registry, multiprocess_mode="livemostrecent",
)  # fmt: skip
permits_tier = Gauge(
    "parley_permits_tier", "The account's tier.",
    registry=registry, multiprocess_mode="livemostrecent",
)  # fmt: skip
permits_circuit = Gauge(
    "parley_permits_circuit", "1 while the platform is full and permits are kept back.",
    registry=registry, multiprocess_mode="livemostrecent",
)  # fmt: skip
permits_blocked = Gauge(
    "parley_permits_blocked", "1 while the provider refuses the account.",
    registry=registry, multiprocess_mode="livemostrecent",
)  # fmt: skip
permits_waiting = Gauge(
    "parley_permits_waiting", "Requests that wait for a permit.", ["class"],
    registry=registry, multiprocess_mode="livesum",
)  # fmt: skip
permit_grants = Counter("parley_permit_grants", "Permits given.", registry=registry)
permit_steps = Counter("parley_permit_steps", "Calls of the permits' function.", registry=registry)
permit_refusals = Counter(
    "parley_permit_refusals", "Requests refused at the door: too long a queue.", registry=registry
)
permit_registrations = Counter(
    "parley_permit_registrations", "Times that a worker told all that it has.", registry=registry
)
permit_epochs = Counter(
    "parley_permit_epochs", "Epochs that workers met; one at each start.", registry=registry
)
permit_lost_pushes = Counter(
    "parley_permit_lost_pushes", "Grants that had to be said again.", registry=registry
)
permit_unused = Counter(
    "parley_permit_unused", "Grants for somebody who had gone.", registry=registry
)
permit_unknown = Counter(
    "parley_permit_unknown", "Permits given back that Redis did not know.", registry=registry
)


def exposition() -> bytes:
    """The text format, of this worker or of all workers of the instance."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)
    return generate_latest(registry)
