"""Where a customer asks from: the right-most hop outside the trusted proxies."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

UNKNOWN = "unknown"  # a peer without an address: a unix socket, or a broken header


def customer_address(
    peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]
) -> str:
    """The customer's address, an IPv6 one as its /64 (a household, not a person's device).

    ``forwarded_for``: the values of all X-Forwarded-For headers, in order. They count only where
    ``peer`` itself is a trusted proxy; from there on to the left only as far as hops are trusted.
    """
    at = _parsed(peer)
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    while at is not None and _within(at, trusted) and hops:
        hop = _parsed(hops.pop())
        if hop is None:
            break  # garbage: the proxy that passed it on is the best we know
        at = hop
    return UNKNOWN if at is None else _named(at)


def is_loopback(address: str) -> bool:
    at = _parsed(address)
    return at is not None and at.is_loopback


def _parsed(text: str | None) -> Address | None:
    text = (text or "").strip()
    if text.startswith("[") or text.count(":") == 1:  # some proxies add the port
        text = text.partition("]")[0].lstrip("[") if text[:1] == "[" else text.partition(":")[0]
    try:
        at = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = at.ipv4_mapped if isinstance(at, ipaddress.IPv6Address) else None
    return mapped or at


def _within(at: Address, networks: Sequence[Network]) -> bool:
    return any(at.version == network.version and at in network for network in networks)


def _named(at: Address) -> str:
    if isinstance(at, ipaddress.IPv6Address) and not at.is_loopback:
        return str(ipaddress.ip_network((at, 64), strict=False).network_address)
    return str(at)
