"""Addresses as people read them, and which of them are this machine."""

import ipaddress
from urllib.parse import urlsplit


def shown(url: str) -> str:
    """``url`` without its password."""
    password = urlsplit(url).password
    return url if password is None else url.replace(f":{password}@", ":***@", 1)


def reachable(host: str, port: int) -> str:
    """A URL that a browser on this machine can open, for a server that listens on ``host``."""
    if host in ("0.0.0.0", "::"):
        host = "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_loopback(url: str) -> bool:
    """Whether ``url`` is on this machine, where a model may want no key."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
