"""Storage as FastMCP's OAuth proxy should use it.

- The edge of the application follows which rows a request touches and which outages it meets.
- Storage is asked for nothing that the request can do without: what a signature says that came with it has no row, and
  what does not change is read once.
- Nothing is lost to a failure half way. FastMCP deletes the code that is being exchanged before it has written all that
  replaces it, so one failed write strands the client. Here what was used stays until it expires: the ledger decides
  single use (single_use.py), and a deletion after it could only turn a success into an error.
- A token set is written by the login that made it. From then on it is only changed, so that one which was revoked
  meanwhile stays revoked.
- Registrations live as long as they are used. Anyone may register (RFC 7591), and many do once and never come back. A
  registration that is not used for its lifetime expires, and the purge removes it; its client registers again.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, SupportsFloat, override

from key_value.aio.wrappers.base import BaseWrapper
from mcp.server.auth.provider import TokenError

from entra_mcp.auth.issuer import REFRESH
from entra_mcp.errors import StorageError
from entra_mcp.request import REQUEST, recording_failures
from entra_mcp.storage.collections import (
    AUTHORIZATION_CODES,
    CONSENT_PAGES,
    REFRESH_TOKENS,
    REGISTRATIONS,
    TOKEN_MAPPINGS,
    TRANSACTIONS,
    UPSTREAM_TOKENS,
)
from entra_mcp.web.time_limits import lift_silence_limit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entra_mcp.storage.cache import CachedStore

AUDITED = frozenset({TRANSACTIONS, AUTHORIZATION_CODES, UPSTREAM_TOKENS})
"""Collections whose rows name a client, or hold the tokens of a person."""

SIGNED = frozenset({CONSENT_PAGES, REFRESH_TOKENS, TOKEN_MAPPINGS})
"""Collections without rows: the tokens of this server and the cookie of the consent page say the same, signed."""

READ_ONCE = frozenset({AUTHORIZATION_CODES, REGISTRATIONS, TRANSACTIONS})
"""Collections whose rows are remembered while the request lasts; a token set may be revoked meanwhile."""

KEPT = frozenset({AUTHORIZATION_CODES, TRANSACTIONS})
"""Stay until they expire, within minutes. A code that is presented again must differ from one that never was. A sign-in
that has come back from Entra ID cannot come back again: Entra ID's code is used up, and `callback.py` deletes the
transaction of a code that Entra ID refuses."""

CODE_PAUSES = (0.3, 0.6, 1.2)
"""Seconds before each further attempt to write a code. Entra ID's own code, which is good once, has been redeemed for
it: what cannot be written is lost, and the person has to sign in again. The deadline of the request ends these too."""

TOUCH_SECONDS = 24 * 3600
"""How often, at most, the use of a registration is written down."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class TokenExchange:
    """An exchange of a code or token, and the token set that it wrote."""

    new_login: bool
    """Whether it may make a token set."""

    token_set: str | None = None


EXCHANGE: ContextVar[TokenExchange | None] = ContextVar("exchange", default=None)
"""The exchange that the code runs for; None outside of one."""


class ProxyStore(BaseWrapper):
    """Gives each collection the rules that it needs here."""

    def __init__(self, store: CachedStore, *, registration_seconds: float) -> None:
        """A registration that is not used for so many seconds expires."""
        self.key_value = self._store = store
        self._registration_seconds = registration_seconds

    @override
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        request = REQUEST.get()
        known = request.known.get((collection or "", key)) if request else None
        if known is None and collection in SIGNED and request and request.bearer:
            known = _signed(*request.bearer).get((collection, key))
        if known is not None or collection in SIGNED:
            return None if known is None else dict(known)
        with recording_failures():
            value = await self._read(key, collection)
        if value is not None:
            _note(collection, key, value)
        return value

    @override
    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        if collection in SIGNED:
            return
        _note(collection, key, value)
        with recording_failures():
            if collection == UPSTREAM_TOKENS:
                await self._put_token_set(key, value, ttl)
            elif collection == AUTHORIZATION_CODES:
                await self._put_code(key, value, ttl)
            else:
                lifetime = self._registration_seconds if collection == REGISTRATIONS else ttl
                await self._store.put(key, value, collection=collection, ttl=lifetime)

    @override
    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        if collection in SIGNED or collection in KEPT:
            return True
        with recording_failures():
            return await self._store.delete(key, collection=collection)

    async def _read(self, key: str, collection: str | None) -> dict[str, Any] | None:
        if collection == REGISTRATIONS:
            return await self._read_registration(key)
        # An exchange replaces what it reads, so it builds on what is stored, not on what this instance remembers.
        get = self._store.get if EXCHANGE.get() is None else self._store.get_stored
        return await get(key, collection=collection)

    async def _read_registration(self, key: str) -> dict[str, Any] | None:
        """Its use prolongs it, at the price of one write a day."""
        value, ttl = await self._store.ttl(key, collection=REGISTRATIONS)
        if value is not None and (ttl is None or ttl < self._registration_seconds - TOUCH_SECONDS):
            try:
                await self._store.put(key, value, collection=REGISTRATIONS, ttl=self._registration_seconds)
            except StorageError as error:
                logger.warning("The use of a registration was not written down: %s", error)
        return value

    async def _put_token_set(self, key: str, value: Mapping[str, Any], ttl: SupportsFloat | None) -> None:
        exchange = EXCHANGE.get()
        if exchange is not None and exchange.new_login:
            await self._store.put(key, value, collection=UPSTREAM_TOKENS, ttl=ttl)
        elif not await self._store.put_if_present(key, value, collection=UPSTREAM_TOKENS, ttl=ttl):
            raise TokenError("invalid_grant", "The sign-in was revoked.")
        if exchange is not None:
            exchange.token_set = key

    async def _put_code(self, key: str, value: Mapping[str, Any], ttl: SupportsFloat | None) -> None:
        for pause in (*CODE_PAUSES, None):
            try:
                await self._store.put(key, value, collection=AUTHORIZATION_CODES, ttl=ttl)
                break
            except StorageError as error:
                if pause is None:
                    raise
                logger.warning("Writing a code is tried again in %.1f s: %s", pause, error)
                await asyncio.sleep(pause)
        lift_silence_limit()


def _signed(token: str, claims: Mapping[str, Any]) -> dict[tuple[str | None, str], Mapping[str, Any]]:
    """What FastMCP would keep in rows of its own for a token of this server."""
    begun = {"created_at": claims["iat"]}
    found: dict[tuple[str | None, str], Mapping[str, Any]] = {
        (TOKEN_MAPPINGS, claims["jti"]): {"jti": claims["jti"], "upstream_token_id": claims["sid"], **begun}
    }
    if claims["token_use"] == REFRESH:
        metadata = {"client_id": claims["client_id"], "scopes": claims["scope"].split(), "expires_at": claims["exp"]}
        found[REFRESH_TOKENS, sha256(token.encode()).hexdigest()] = metadata | begun
    return found


def _note(collection: str | None, key: str, value: Mapping[str, Any]) -> None:
    request = REQUEST.get()
    if request is None or collection is None:
        return
    if collection in AUDITED:
        request.rows[collection] = value
    if collection in READ_ONCE:
        request.known[collection, key] = value
