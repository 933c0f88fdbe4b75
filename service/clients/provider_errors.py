"""The provider's errors, and those of the wire to it, told in ours; nothing else knows both.

Decided by `error.code` and by nothing else where there is one: the provider changed its texts
twice, and gives status 429 for an empty purse as well as for too many requests. Two shapes are
about: `{"error": {"code": "1302", "message": …}}`, whose code may be a string or a number, and the
flat `{"code": 1302, "message": …}`. Either may come with status 200, and in mid-stream.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp
import httpx
import msgspec
from aiohttp.http_exceptions import HttpProcessingError

from service.core.errors import (
    ModelAccountBlocked,
    ModelContextTooLong,
    ModelError,
    ModelOverloaded,
    ModelOverTier,
    ModelRefused,
    ModelRejected,
    ModelUnreachable,
)

DETAIL_CHARS = 300  # of the provider's text in ours: enough to act on, too little to leak a prompt

CODE_CHARS = 40  # theirs are four digits; a code ends up in metrics, so nobody may send a novel

# What httpx, its transport and the sockets below may raise while a request runs.
WIRE = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,
)

_MEANINGS: tuple[tuple[type[ModelError], str], ...] = (
    (ModelAccountBlocked, "1000 1001 1002 1003 1004"),  # the key
    (ModelAccountBlocked, "1100 1110 1111 1112 1120 1121"),  # the account: inactive, locked, banned
    (ModelAccountBlocked, "1113"),  # the purse is empty: status 429, yet no sign of concurrency
    (ModelAccountBlocked, "1220 1304"),  # no permission; the day's calls are used up
    (ModelAccountBlocked, "1308 1309 1310 1311"),  # a plan's quotas
    (ModelAccountBlocked, "1313 1314 1315 1316 1317 1318 1319 1320 1321"),
    (ModelOverloaded, "500 1200 1230 1234"),  # an error inside the platform
    (ModelOverloaded, "1305 1312"),  # the platform is full, for everybody
    (ModelRejected, "1210 1211 1212 1213 1214 1215 1221 1222"),  # our request is wrong
    (ModelRejected, "1231"),  # a request with this id is in flight already
    (ModelContextTooLong, "1261"),
    (ModelRefused, "1300 1301"),
    (ModelOverTier, "1302 1303"),
)
CODES: Mapping[str, type[ModelError]] = {
    code: meaning for meaning, codes in _MEANINGS for code in codes.split()
}


def of_code(code: str, message: str, status: int = 200) -> ModelError:
    """The error for the provider's ``code``; ``status`` decides where the code says nothing."""
    code = code[:CODE_CHARS]
    meaning = CODES.get(code) or of_status(status)
    detail = " ".join(part for part in (code, message.strip()[:DETAIL_CHARS]) if part)
    return meaning(f"the model's API says: {detail}" if detail else "", provider_code=code)


def of_status(status: int) -> type[ModelError]:
    """What an HTTP status says alone, from a proxy or a firewall that knows no codes."""
    if status in (401, 403):
        return ModelAccountBlocked
    if status in (200, 408, 425, 429) or status >= 500:
        return ModelOverloaded  # never ModelOverTier: only a code may cut the limit
    return ModelRejected


def of_answer(body: bytes, status: int) -> ModelError:
    """The error for a whole answer whose status is not 200, be it JSON, HTML or nothing."""
    try:
        found = found_in(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if found is not None:
        return of_code(*found, status)
    hint = " (a redirect: is PARLEY_MODEL_URL right?)" if 300 <= status < 400 else ""
    return of_status(status)(f"the model's API answered {status} without an error code{hint}")


def found_in(body: Any) -> tuple[str, str] | None:
    """The code and the message of the error in a decoded JSON object; None where it has none."""
    if not isinstance(body, dict):
        return None
    inner = body.get("error")
    if isinstance(inner, dict):
        return _word(inner.get("code")), _word(inner.get("message"))
    if inner:
        return _word(body.get("code")), _word(inner)
    if "choices" not in body and body.get("code") not in (None, "", 0, "0", 200, "200"):
        return _word(body["code"]), _word(body.get("message") or body.get("msg"))
    return None


def of_wire(error: Exception) -> ModelUnreachable:
    """The error where no answer began at all. To be raised ``from`` the foreign one."""
    name = type(error.__cause__ or error).__name__
    return ModelUnreachable(f"no answer from the model's API: {name}: {error}"[:DETAIL_CHARS])


def without(error: ModelError, secrets: Iterable[str]) -> ModelError:
    """``error`` with every secret in its text blotted out: some proxies quote what they got."""
    text = str(error)
    for secret in secrets:
        text = text.replace(secret, "[key]")
    return type(error)(text, provider_code=error.provider_code)


def _word(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list | bool) else str(value)
