"""The key-value store of FastMCP's OAuth state, and of tools, on Table Storage."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, override

from key_value.aio.errors import CorruptedDataError, DecryptionError, SerializationError, StoreConnectionError
from key_value.aio.stores.base import (
    BaseStore,
    ManagedEntry,  # pyright: ignore[reportPrivateImportUsage] - what the hooks of BaseStore pass and return
)

from entra_mcp.errors import StorageError
from entra_mcp.storage.rows import Address, Row, milliseconds, pack, unpack

if TYPE_CHECKING:
    from entra_mcp.storage.encryption import RowCipher
    from entra_mcp.storage.table import Table

logger = logging.getLogger(__name__)


class TableStore(BaseStore):
    """An `AsyncKeyValue` store of encrypted rows: each operation is one request for one row.

    Errors of the service are `StoreConnectionError`. A row that does not open (altered, or sealed under a key that is
    gone) reads as missing and is logged: its user signs in again, nobody else notices.
    """

    def __init__(self, *, table: Table, cipher: RowCipher) -> None:
        super().__init__(stable_api=True)
        self._table = table
        self._cipher = cipher

    @override
    async def _get_managed_entry(self, *, collection: str, key: str) -> ManagedEntry | None:
        address = Address.of(collection, key)
        try:
            entity = await self._table.read(address.partition, address.row)
        except StorageError as error:
            raise StoreConnectionError(str(error)) from error
        if entity is None:
            return None
        try:
            row = unpack(entity)
            plain = self._cipher.open(row.sealed, collection=collection, key=key, expires=row.expires)
        except (CorruptedDataError, DecryptionError) as error:
            logger.warning("Row %s of collection %s is unreadable: %s", address.row, collection, error)
            return None
        return ManagedEntry(value=json.loads(plain), created_at=_moment(row.created), expires_at=_moment(row.expires))

    @override
    async def _put_managed_entry(self, *, collection: str, key: str, managed_entry: ManagedEntry) -> None:
        try:
            plain = json.dumps(managed_entry.value_as_dict, separators=(",", ":")).encode()
        except (TypeError, ValueError) as error:
            raise SerializationError(f"the value is not JSON: {error}") from error
        expires = milliseconds(managed_entry.expires_at) if managed_entry.expires_at else None
        row = Row(
            sealed=self._cipher.seal(plain, collection=collection, key=key, expires=expires),
            created=milliseconds(managed_entry.created_at or datetime.now(UTC)),
            expires=expires,
        )
        try:
            await self._table.replace(pack(Address.of(collection, key), row))
        except StorageError as error:
            raise StoreConnectionError(str(error)) from error

    @override
    async def _delete_managed_entry(self, *, key: str, collection: str) -> bool:
        address = Address.of(collection, key)
        try:
            return await self._table.delete(address.partition, address.row)
        except StorageError as error:
            raise StoreConnectionError(str(error)) from error


def _moment(milliseconds_: int | None) -> datetime | None:
    return None if milliseconds_ is None else datetime.fromtimestamp(milliseconds_ / 1000, tz=UTC)
