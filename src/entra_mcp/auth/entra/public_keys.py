"""Public keys of Entra ID and of other issuers: fetched once for many callers, and kept through an outage.

Entra ID rolls its keys over at any time and announces a new one long before it signs with it, so keys that are some
hours old are still good. What must not happen: tokens with made-up key ids lead to a request to the issuer each,
or a moment without an answer from it signs everybody out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from math import inf
from typing import TYPE_CHECKING, Any, cast

import httpx2
import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastmcp.server.auth import TokenVerificationError

from entra_mcp.errors import DependencyError, first_line
from entra_mcp.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

FRESH_SECONDS = 3600.0
STALE_SECONDS = 24 * 3600.0
"""How long keys serve while their issuer does not give any; then nothing can be verified."""

UNKNOWN_KEY_SECONDS = 30.0
"""How often an unknown key id, or an outage, may make this server ask again."""

FETCH_SECONDS = 3.0

logger = logging.getLogger(__name__)


class SigningKeysError(DependencyError, TokenVerificationError):
    """The public keys of an issuer could not be fetched; FastMCP lets this pass, where another error is a bad token."""

    def __init__(self, problem: str) -> None:
        super().__init__("signing_keys", problem)


class PublicKeys:
    """The RSA keys of a key set, in PEM, by key id. Belongs to one event loop."""

    def __init__(
        self, *, fetch: Callable[[], Awaitable[Mapping[str, Any]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes what fetches the key set (RFC 7517) and raises `SigningKeysError` when it cannot."""
        self._fetch = fetch
        self._clock = clock
        self.keys: Mapping[str, str] = {}
        """The keys as they were last fetched, each time another object."""
        self._fetched_at = -inf
        self._asked_at = -inf
        self._failure: SigningKeysError | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def get(self, key_id: str) -> str | None:
        """Returns the key, or None when the issuer has no such key.

        A key that is known serves at once, and is looked for again behind the scenes when it is not fresh any more.

        Raises:
            SigningKeysError: there are no keys, or only ones that are too old; or the key is unknown and the issuer,
                which may have it, did not answer.
        """
        age = self._clock() - self._fetched_at
        usable = age < STALE_SECONDS
        if usable and key_id in self.keys:
            if age >= FRESH_SECONDS and not self._asked_lately():
                self._refresh()
            return self.keys[key_id]
        # Without usable keys every request asks, so that the first one after an outage succeeds.
        if not usable or not self._asked_lately() or self._fetching is not None:
            # A caller that goes away must not end the fetch that others wait for.
            await asyncio.wait((self._refresh(),))
        if self._failure is not None:
            raise self._failure
        return self.keys.get(key_id)

    async def ensure(self) -> None:
        """Returns when there are keys that serve.

        Raises:
            SigningKeysError: there are none, or only ones that are too old.
        """
        if self._clock() - self._fetched_at < STALE_SECONDS:
            return
        await asyncio.wait((self._refresh(),))
        if self._failure is not None:
            raise self._failure

    def _asked_lately(self) -> bool:
        return self._clock() - self._asked_at < UNKNOWN_KEY_SECONDS

    def _refresh(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._asked_at = self._clock()
            self._fetching = asyncio.create_task(self._update())
        return self._fetching

    async def _update(self) -> None:
        try:
            async with Patience(FETCH_SECONDS):
                keys = _keys(await self._fetch())
        except TimeoutError:
            self._failure = SigningKeysError(f"no answer within {FETCH_SECONDS:.0f} s")
        except SigningKeysError as error:
            self._failure = error
        except Exception as error:  # noqa: BLE001 - whatever an issuer sends, keys that are known serve
            self._failure = SigningKeysError(f"{type(error).__name__}: {first_line(error)[:200]}")
        else:
            self.keys, self._fetched_at, self._failure = keys, self._clock(), None
        finally:
            self._fetching = None
        if self._failure is not None and self.keys:
            minutes = (self._clock() - self._fetched_at) / 60
            logger.warning("Public keys that are %.0f min old go on serving: %s", minutes, self._failure)


async def fetched(http: httpx2.AsyncClient, address: str) -> Mapping[str, Any]:
    """Returns the JSON object at an issuer's address.

    Raises:
        SigningKeysError: there is none, or no answer.
    """
    try:
        response = await http.get(address)
        found: object = response.raise_for_status().json()
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise SigningKeysError(f"{address}: {type(error).__name__}") from error
    if not isinstance(found, dict):
        raise SigningKeysError(f"{address}: not a JSON object")
    return cast("dict[str, Any]", found)


def _keys(key_set: Mapping[str, Any]) -> dict[str, str]:
    """The RSA signing keys of a key set; entries of another kind are passed over (RFC 7517 section 5).

    Raises:
        SigningKeysError: there is none.
    """
    found: dict[str, str] = {}
    entries = key_set.get("keys")
    for entry in cast("list[Any]", entries) if isinstance(entries, list) else []:
        try:
            key = jwt.PyJWK(entry, algorithm="RS256")
            public = cast("RSAPublicKey", key.key)
            found[str(key.key_id)] = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
            continue
    if not found:
        raise SigningKeysError("the key set has no usable key")
    return found
