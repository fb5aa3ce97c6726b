"""What FastMCP's OAuth proxy stores, as the edge of the application follows it: which rows, and which outages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, SupportsFloat, override

from key_value.aio.wrappers.base import BaseWrapper

from entra_mcp.request import REQUEST, noting_faults
from entra_mcp.storage.collections import AUTHORIZATION_CODES, TRANSACTIONS, UPSTREAM_TOKENS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from key_value.aio.protocols import AsyncKeyValue

AUDITED = frozenset({TRANSACTIONS, AUTHORIZATION_CODES, UPSTREAM_TOKENS})
"""Collections whose rows name a client, or hold the tokens of a person."""


class RequestStore(BaseWrapper):
    """Passes everything on, and leaves a note in the request that the code runs for."""

    def __init__(self, store: AsyncKeyValue) -> None:
        self.key_value = store

    @override
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        with noting_faults():
            value = await self.key_value.get(key, collection=collection)
        if value is not None:
            _note(collection, value)
        return value

    @override
    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        _note(collection, value)
        with noting_faults():
            await self.key_value.put(key, value, collection=collection, ttl=ttl)

    @override
    async def delete(self, key: str, *, collection: str | None = None) -> bool:
        with noting_faults():
            return await self.key_value.delete(key, collection=collection)


def _note(collection: str | None, value: Mapping[str, Any]) -> None:
    request = REQUEST.get()
    if request is not None and collection in AUDITED:
        request.rows[collection] = value
