"""Tells the audit log which rows a request touches, so that its line can name person and client at no further cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsFloat, override

from key_value.aio.wrappers.base import BaseWrapper

from entra_mcp.storage.collections import AUTHORIZATION_CODES, TRANSACTIONS, UPSTREAM_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from key_value.aio.protocols import AsyncKeyValue

    from entra_mcp.audit import Audit

TELLING = frozenset({TRANSACTIONS, AUTHORIZATION_CODES, UPSTREAM_TOKENS})
"""Collections whose rows name a client, or hold the tokens of a person."""


class AuditedStore(BaseWrapper):
    """Changes nothing of what it passes on."""

    def __init__(self, store: AsyncKeyValue, *, audit: Audit) -> None:
        self.key_value = store
        self._audit = audit

    @override
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        value = await self.key_value.get(key, collection=collection)
        if value is not None and collection in TELLING:
            self._audit.about(collection, value)
        return value

    @override
    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        if collection in TELLING:
            self._audit.about(collection, value)
        await self.key_value.put(key, value, collection=collection, ttl=ttl)
