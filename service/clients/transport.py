"""The connections to the model: httpx outside, aiohttp's sockets inside.

httpx's own transport costs several times as much CPU a model token (docs/decisions/0002; measure it
with `python -m tests.bench.model_transport`). Two things of aiohttp's are set differently here: how
many connections there may be, and what happens to one that is left in mid-answer.
"""

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from service import __version__

# The permits are what keeps us inside the tier. The pool's own limit (aiohttp: 100 by default) is a
# fuse against leaks: it must never hold a request back, not even after the tier was raised while
# running, nor while aborted connections are still closing.
LEAST_CONNECTIONS = 1024
KEEP_ALIVE_S = 10.0  # below the 15 s after which the provider's kind of load balancer hangs up
DNS_S = 30  # how long an address is believed


class _Response(aiohttp.ClientResponse):
    """Left before its end, it resets the connection: nobody waits for a TLS farewell or a flush."""

    def release(self) -> None:
        connection = self.connection
        if connection is not None and not self.content.is_eof():
            transport = connection.transport
            if transport is not None:
                transport.abort()
        super().release()


class Transport(AiohttpTransport):
    """httpx's transport on a session of ours; TLS is verified, as httpx itself would."""

    def get_client(self) -> aiohttp.ClientSession:
        """The session; httpx-aiohttp asks once, inside the running loop."""
        connector = aiohttp.TCPConnector(
            limit=self.limits.max_connections or 0,
            limit_per_host=0,
            keepalive_timeout=self.limits.keepalive_expiry or KEEP_ALIVE_S,
            ssl=self.ssl_context,
            ttl_dns_cache=DNS_S,
        )
        return aiohttp.ClientSession(
            connector=connector,
            response_class=_Response,
            cookie_jar=aiohttp.DummyCookieJar(),  # a firewall's cookie would tie us to one host
            auto_decompress=False,
            trust_env=True,  # HTTPS_PROXY, NO_PROXY
        )


def connections(tier: int) -> int:
    """The most connections at once for a tier of so many requests in flight."""
    return max(LEAST_CONNECTIONS, 2 * tier + 64)


def open_client(headers: dict[str, str], *, tier: int, connect_s: float) -> httpx.AsyncClient:
    """A client for long streams: no limit on reading, which GlmModel keeps by itself."""
    limits = httpx.Limits(max_connections=connections(tier), keepalive_expiry=KEEP_ALIVE_S)
    return httpx.AsyncClient(
        transport=Transport(limits=limits),
        headers={
            "user-agent": f"parley/{__version__}",
            "accept": "text/event-stream, application/json",
            "accept-encoding": "identity",  # compressed streams are held back until a block is full
            "content-type": "application/json",
            **headers,
        },
        timeout=httpx.Timeout(None, connect=connect_s, pool=connect_s),
        follow_redirects=False,  # a key does not travel to where a redirect points
    )
