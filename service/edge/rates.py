"""How often one address may ask for a session, on this worker.

A session that begins a conversation is a handful of keys in a Redis that never evicts any. So an
address gets a minute's worth at once, and then one each time a share of the minute has passed (the
generic cell rate algorithm, one number an address).
"""

from service.core.errors import TooManyRequests
from service.edge.addresses import UNKNOWN, is_loopback

MINUTE_S = 60.0
ADDRESSES = 10_000  # remembered; beyond that, those whose minute is over are forgotten


class Rates:
    """Counts requests by address; loopback is excepted."""

    def __init__(self, a_minute: int) -> None:
        self._share_s = MINUTE_S / a_minute
        self._arrivals: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._arrivals)

    def take(self, address: str, now: float) -> None:
        """Count a request; ``now`` in time.monotonic() seconds. Raises TooManyRequests."""
        if address == UNKNOWN or is_loopback(address):
            return
        arrival = max(self._arrivals.get(address, 0.0), now)
        if arrival - now > MINUTE_S - self._share_s:
            raise TooManyRequests(f"more than {round(MINUTE_S / self._share_s)} sessions a minute")
        if len(self._arrivals) >= ADDRESSES:
            self._arrivals = {a: at for a, at in self._arrivals.items() if at > now}
        self._arrivals[address] = arrival + self._share_s
