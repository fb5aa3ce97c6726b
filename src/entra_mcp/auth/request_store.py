"""What FastMCP's OAuth proxy stores, as one request sees it.

The edge of the application follows which rows it touches and which outages it meets. Storage is asked for nothing that
the request can do without: what a signature says that came with it has no row, and what does not change is read once.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, SupportsFloat, override

from key_value.aio.wrappers.base import BaseWrapper

from entra_mcp.auth.issuer import REFRESH
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from key_value.aio.protocols import AsyncKeyValue

AUDITED = frozenset({TRANSACTIONS, AUTHORIZATION_CODES, UPSTREAM_TOKENS})
"""Collections whose rows name a client, or hold the tokens of a person."""

SIGNED = frozenset({CONSENT_PAGES, REFRESH_TOKENS, TOKEN_MAPPINGS})
"""Collections without rows: the tokens of this server and the cookie of the consent page say the same, signed."""

READ_ONCE = frozenset({AUTHORIZATION_CODES, REGISTRATIONS, TRANSACTIONS})
"""Collections whose rows are remembered while the request lasts; a token set may be revoked meanwhile."""


class RequestStore(BaseWrapper):
    """Passes on what needs a request to storage, and leaves a note in the request that the code runs for."""

    def __init__(self, store: AsyncKeyValue) -> None:
        self.key_value = store

    @override
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        request = REQUEST.get()
        known = request.known.get((collection or "", key)) if request else None
        if known is None and collection in SIGNED and request and request.bearer:
            known = _signed(*request.bearer).get((collection, key))
        if known is not None or collection in SIGNED:
            return None if known is None else dict(known)
        with recording_failures():
            value = await self.key_value.get(key, collection=collection)
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
            await self.key_value.put(key, value, collection=collection, ttl=ttl)

    @override
    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        if collection in SIGNED:
            return True
        with recording_failures():
            return await self.key_value.delete(key, collection=collection)


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
