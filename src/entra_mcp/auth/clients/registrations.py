"""Registrations live as long as they are used.

Anyone may register (RFC 7591), and many do once and never come back. A registration that is not used for its lifetime
expires, and the purge removes it; its client registers again. Using one prolongs it, at the price of one write a day.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, SupportsFloat, override

from key_value.aio.wrappers.base import BaseWrapper

from entra_mcp.errors import StorageError
from entra_mcp.storage.collections import REGISTRATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from key_value.aio.protocols import AsyncKeyValue

TOUCH_SECONDS = 24 * 3600
"""How often, at most, the use of a registration is written down."""

logger = logging.getLogger(__name__)


class RegistrationStore(BaseWrapper):
    """Gives registrations a time to live, in seconds, that begins again whenever they are used."""

    def __init__(self, store: AsyncKeyValue, *, lifetime: float) -> None:
        self.key_value = store
        self._lifetime = lifetime

    @override
    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        if collection != REGISTRATIONS:
            return await self.key_value.get(key, collection=collection)
        value, ttl = await self.key_value.ttl(key, collection=collection)
        if value is not None and (ttl is None or ttl < self._lifetime - TOUCH_SECONDS):
            try:
                await self.key_value.put(key, value, collection=collection, ttl=self._lifetime)
            except StorageError as error:
                logger.warning("The use of a registration was not written down: %s", error)
        return value

    @override
    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> None:
        lifetime = self._lifetime if collection == REGISTRATIONS else ttl
        await self.key_value.put(key, value, collection=collection, ttl=lifetime)
