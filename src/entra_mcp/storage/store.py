"""The key-value store of FastMCP's OAuth state, and of tools, on Table Storage."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, SupportsFloat, override

from key_value.aio.errors import CorruptedDataError, DecryptionError, SerializationError
from key_value.aio.protocols import AsyncKeyValue
from key_value.aio.stores.base import (
    BaseStore,
    ManagedEntry,  # pyright: ignore[reportPrivateImportUsage] - what the hooks of BaseStore pass and return
)

from entra_mcp.errors import StorageError
from entra_mcp.storage.rows import Address, Row, milliseconds, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entra_mcp.storage.encryption import RowCipher
    from entra_mcp.storage.owners import OwnerMarks
    from entra_mcp.storage.table import Entity, Table

RENEW_SECONDS = 1.0
"""How long a read may take longer because it finds a row under an older key."""

logger = logging.getLogger(__name__)


class ConditionalStore(AsyncKeyValue, Protocol):
    """A key-value store that can leave alone what is not there."""

    async def put_if_present(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> bool:
        """Puts the value if the key has one, in one step; returns whether it had."""
        ...


class TableStore(BaseStore):
    """An `AsyncKeyValue` store of encrypted rows: each operation is one request for one row.

    Errors of the service are `StoreConnectionError`. A row that does not open (altered, or sealed under a key that is
    gone) reads as missing and is logged: its user signs in again, nobody else notices.

    A row that is read and was sealed under an older key of the ring is written again under the newest.

    `owner_of` returns whose a value of a collection is, if it is somebody's; such rows get a mark (owners.py).
    """

    def __init__(
        self,
        *,
        table: Table,
        cipher: RowCipher,
        marks: OwnerMarks | None = None,
        owner_of: Callable[[str, Mapping[str, Any]], str | None] | None = None,
    ) -> None:
        super().__init__(stable_api=True)
        self._marks = marks
        self._owner_of = owner_of
        self._table = table
        self._cipher = cipher

    @override
    async def setup(self) -> None:
        """Does nothing, where the base class takes a lock, which belongs to one event loop: the table is there."""

    @override
    async def setup_collection(self, *, collection: str) -> None:
        """Does nothing: a collection is a part of the keys."""

    async def put_if_present(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: SupportsFloat | None = None
    ) -> bool:
        """Puts the value if the key has a row, in one request; what was deleted stays deleted.

        What has expired counts as there until the purge removes it. `ttl` has to be positive, and is not looked at.
        """
        collection, created = collection or self.default_collection, datetime.now(UTC)
        expires = None if ttl is None else created + timedelta(seconds=float(ttl))
        entry = ManagedEntry(value=value, created_at=created, expires_at=expires)
        return await self._table.replace_present(self._entity(collection, key, entry))

    @override
    async def _get_managed_entry(self, *, collection: str, key: str) -> ManagedEntry | None:
        address = Address.of(collection, key)
        entity = await self._table.read(address.partition, address.row)
        opened = None if entity is None else await self._open(entity, collection=collection, key=key)
        if entity is None or opened is None:
            return None
        row, plain = opened
        entry = _entry(row, plain)
        if not self._cipher.is_newest(row.sealed) and not entry.is_expired:
            sealed = self._cipher.seal(plain, collection=collection, key=key, expires=row.expires)
            await self._renew(pack(address, replace(row, sealed=sealed)), etag=entity.metadata["etag"])
        return entry

    @override
    async def _put_managed_entry(self, *, collection: str, key: str, managed_entry: ManagedEntry) -> None:
        await self._table.replace(self._entity(collection, key, managed_entry))

    @override
    async def _delete_managed_entry(self, *, key: str, collection: str) -> bool:
        address = Address.of(collection, key)
        return await self._table.delete(address.partition, address.row)

    def _entity(self, collection: str, key: str, entry: ManagedEntry) -> dict[str, Any]:
        try:
            text = json.dumps(entry.value_as_dict, separators=(",", ":"), ensure_ascii=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise SerializationError(f"the value is not JSON: {error}") from error
        plain = text.encode("utf-8", "surrogatepass")
        expires = milliseconds(entry.expires_at) if entry.expires_at else None
        row = Row(
            sealed=self._cipher.seal(plain, collection=collection, key=key, expires=expires),
            created=milliseconds(entry.created_at or datetime.now(UTC)),
            expires=expires,
            owner=self._mark(collection, entry.value),
        )
        return pack(Address.of(collection, key), row)

    def _mark(self, collection: str, value: Mapping[str, Any]) -> bytes | None:
        if self._marks is None or self._owner_of is None:
            return None
        owner = self._owner_of(collection, value)
        return None if owner is None else self._marks.mark(owner)

    async def _open(self, entity: Entity, *, collection: str, key: str) -> tuple[Row, bytes] | None:
        try:
            row = unpack(entity)
            return row, await self._cipher.unseal(row.sealed, collection=collection, key=key, expires=row.expires)
        except (CorruptedDataError, DecryptionError) as error:
            logger.warning("Row %s of collection %s is unreadable: %s", entity["RowKey"], collection, error)
            return None

    async def _renew(self, entity: Mapping[str, Any], *, etag: str) -> None:
        """Writes a row that is now sealed under the newest key; a reader does not suffer when that fails."""
        try:
            async with asyncio.timeout(RENEW_SECONDS):
                await self._table.replace_unchanged(entity, etag=etag)
        except (StorageError, TimeoutError) as error:
            logger.warning("Row %s stays under an older key for now: %s", entity["RowKey"], error)


def _entry(row: Row, plain: bytes) -> ManagedEntry:
    return ManagedEntry(value=json.loads(plain), created_at=_moment(row.created), expires_at=_moment(row.expires))


def _moment(milliseconds_: int | None) -> datetime | None:
    return None if milliseconds_ is None else datetime.fromtimestamp(milliseconds_ / 1000, tz=UTC)
