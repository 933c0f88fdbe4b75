"""Who asks: an API key `id.secret` as Bearer, or the older signed form of it.

The signed form is a JWT: HS256 over the key's secret, header `{"alg":"HS256","sign_type":"SIGN"}`,
payload `{"api_key": id, "exp": ms, "timestamp": ms}`, both times in milliseconds. Its signature
can be verified only where the keys were given; without them form and expiry are checked.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Iterable
from typing import Any

import jwt

from service.simulator.errors import refusal

_KEY_FORM = re.compile(r"[^.\s]+\.[^.\s]+")


class Keys:
    """The accepted API keys; none given means any of the form `id.secret`."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = frozenset(keys)
        self._secrets = dict(key.split(".", 1) for key in self._keys if "." in key)

    def account(self, authorization: str | None) -> str:
        """The account's id for the header's value; raises the refusal 1001, 1002, 1003 or 1004."""
        if not authorization or not authorization.strip():
            raise refusal("1001")
        scheme, _, credential = authorization.strip().partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise refusal("1002")
        if credential in self._keys:
            return credential.split(".", 1)[0]
        if credential.count(".") == 2:
            return self._signed(credential)
        if self._keys or not _KEY_FORM.fullmatch(credential):
            raise refusal("1002")
        return credential.split(".", 1)[0]

    def _signed(self, credential: str) -> str:
        try:
            header = jwt.get_unverified_header(credential)
            claims: dict[str, Any] = jwt.decode(credential, options={"verify_signature": False})
        except jwt.InvalidTokenError as error:
            raise refusal("1002") from error
        account, expiry = claims.get("api_key"), claims.get("exp")
        if header.get("alg") != "HS256" or not isinstance(account, str) or not account:
            raise refusal("1002")
        if isinstance(expiry, bool) or not isinstance(expiry, (int, float)):
            raise refusal("1002")
        if self._keys:
            self._verify(credential, account)
        if expiry <= time.time() * 1000:
            raise refusal("1003")
        return account

    def _verify(self, credential: str, account: str) -> None:
        secret = self._secrets.get(account)
        if secret is None:
            raise refusal("1004")
        # By hand: the library warns of every secret under 32 bytes, and the provider's have 16.
        signed, _, signature = credential.rpartition(".")
        digest = hmac.digest(secret.encode(), signed.encode(), "sha256")
        expected = base64.urlsafe_b64encode(digest).rstrip(b"=")
        if not hmac.compare_digest(expected, signature.encode()):
            raise refusal("1004")
