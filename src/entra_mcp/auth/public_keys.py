"""Entra ID's public keys: fetched once for many callers, and kept for as long as they may be needed in an outage.

Entra ID rolls its keys over at any time and announces a new one long before it signs with it, so keys that are some
hours old are still good. What must not happen: a token with a made-up key id makes this server ask Entra ID for each
request, or a moment without an answer from it signs everybody out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, cast

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from entra_mcp.errors import SigningKeysError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

FRESH_SECONDS = 3600.0
STALE_SECONDS = 24 * 3600.0
"""How long keys serve while Entra ID does not give any; then nothing can be verified."""

UNKNOWN_KEY_SECONDS = 30.0
"""How often an unknown key id, or an outage, may make this server ask again."""

logger = logging.getLogger(__name__)


class PublicKeys:
    """The RSA keys of a key set, in PEM, by key id. Belongs to one event loop."""

    def __init__(
        self, *, fetch: Callable[[], Awaitable[Mapping[str, Any]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes what fetches the key set (RFC 7517) and raises `SigningKeysError` when it cannot."""
        self._fetch = fetch
        self._clock = clock
        self._keys: Mapping[str, str] = {}
        self._fetched_at: float | None = None
        self._asked_at: float | None = None
        self._lock = asyncio.Lock()

    async def get(self, key_id: str) -> str | None:
        """Returns the key, or None when Entra ID has no such key.

        Raises:
            SigningKeysError: there are no keys, or only ones that are too old.
        """
        if self._is_fresh() and key_id in self._keys:
            return self._keys[key_id]
        async with self._lock:
            if not (self._is_fresh() and (key_id in self._keys or self._asked_lately())):
                await self._refresh()
        return self._keys.get(key_id)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    def _is_fresh(self) -> bool:
        return self._age() < FRESH_SECONDS

    def _asked_lately(self) -> bool:
        return self._asked_at is not None and self._clock() - self._asked_at < UNKNOWN_KEY_SECONDS

    async def _refresh(self) -> None:
        # Without any keys every request asks, so that the first one after an outage succeeds.
        usable = self._age() < STALE_SECONDS
        if usable and self._asked_lately():
            return
        self._asked_at = self._clock()
        try:
            keys = _keys(await self._fetch())
        except SigningKeysError as error:
            if not usable:
                raise
            logger.warning("Keys of Entra ID that are %.0f min old go on serving: %s", self._age() / 60, error)
            return
        if not keys:
            raise SigningKeysError("the key set has no usable key")
        self._keys, self._fetched_at = keys, self._clock()


def _keys(key_set: Mapping[str, Any]) -> dict[str, str]:
    """The RSA signing keys of a key set; entries of another kind are passed over (RFC 7517 section 5)."""
    found: dict[str, str] = {}
    entries = key_set.get("keys")
    for entry in cast("list[Any]", entries) if isinstance(entries, list) else []:
        try:
            key = jwt.PyJWK(entry, algorithm="RS256")
            public = cast("RSAPublicKey", key.key)
            found[str(key.key_id)] = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
            continue
    return found
