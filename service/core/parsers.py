"""How the text of a setting becomes a value.

Each returns the value, or raises ValueError with what it wants and an example that works.
"""

import ipaddress
import re
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

TIERS = {"V0": 50, "V1": 100, "V2": 300, "V3": 500}  # requests in flight, by benefit level
REDIS_SCHEMES = ("redis", "rediss", "unix")


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text) if text.strip().lstrip("-").isdigit() else None
        if value is None or not low <= value <= high:
            raise ValueError(f"wants a whole number from {low} to {high}")
        return value

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ValueError(f"wants seconds from {low:g} to {high:g}")
        return value

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"wants one of {', '.join(words)}")
        return text.lower()

    return parse


def yes(text: str) -> bool:
    if text.lower() not in ("", "0", "1", "no", "yes", "false", "true"):
        raise ValueError("wants 1 or 0")
    return text.lower() in ("1", "yes", "true")


def tier(text: str) -> int:
    if text.upper() in TIERS:
        return TIERS[text.upper()]
    if not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise ValueError("wants V0, V1, V2, V3 or a number of requests in flight, such as 50")
    return int(text)


def _has_host(parts: SplitResult) -> bool:
    """Whether there is a host, and where there is a port, one that can be."""
    try:
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def model_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not _has_host(parts):
        raise ValueError("wants a URL such as https://open.bigmodel.cn/api/paas/v4")
    return text.rstrip("/")


def redis_url(text: str) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    local = parts.scheme == "unix" and parts.path
    if parts.scheme not in REDIS_SCHEMES or not (local or _has_host(parts)):
        raise ValueError("wants a URL such as redis://127.0.0.1:6379/0")
    return text


def origin(text: str) -> str | None:
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not _has_host(parts) or parts.path.strip("/"):
        raise ValueError("wants scheme and host only, such as https://chat.shop.example")
    return text.rstrip("/").lower()


def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(
            f"wants CIDRs such as 10.0.0.0/8,192.168.1.7/32 (a proxy here: 127.0.0.1/32): {error}"
        ) from error


def maybe(text: str) -> str | None:
    return text or None


def word(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text.strip()


def secretless(text: str) -> str:
    """``text`` without what a URL has before its host: a wrong setting may hold a password."""
    return re.sub(r"//.*@", "//…@", text)
