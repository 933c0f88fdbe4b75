"""Who may ask: the pages of a site, and Parley's own.

Browsers send the Origin header and pages cannot forge it; that is all that an Origin proves. It is
checked before a handshake is accepted, because no CORS rule covers a WebSocket.
"""

from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from service.core.model import Site


def is_own(origin: str | None, *, host: str | None, declared: str | None) -> bool:
    """Whether ``origin`` is Parley's own: as declared, else the one whose host was asked."""
    if origin is None:
        return False
    if declared is not None:
        return origin.lower() == declared
    parts = _parts(origin)
    return parts is not None and host is not None and parts.netloc.lower() == host.lower() != ""


def allowed(origin: str | None, origins: Iterable[str]) -> bool:
    """Whether ``origin`` is among ``origins``, which may hold ``https://*.shop.example``, and for
    loopback names ``http://localhost:*``. Scheme, host and port must all agree."""
    if origin is None:
        return False
    origin = origin.lower()
    return any(_fits(origin, pattern) for pattern in origins)


def _fits(origin: str, pattern: str) -> bool:
    if origin == pattern:
        return True
    scheme, _, rest = pattern.partition("://")
    got = _parts(origin)
    if got is None or got.scheme != scheme or got.path or got.query or got.username is not None:
        return False
    host, _, port = rest.partition(":")
    got_host, _, got_port = got.netloc.partition(":")
    if port == "*":
        return got_host == host and (not got_port or got_port.isdigit())
    if host.startswith("*."):
        return got_port == port and got_host.endswith(host[1:]) and len(got_host) > len(host) - 1
    return False


def _parts(origin: str) -> SplitResult | None:
    """None for what no browser would send, such as half of an IPv6 address."""
    try:
        return urlsplit(origin)
    except ValueError:
        return None


def frame_ancestors(site: Site) -> str:
    """The site's origins as a CSP source list: who may frame its panel."""
    return " ".join(site.origins)
