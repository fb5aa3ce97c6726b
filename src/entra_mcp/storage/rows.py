"""How an entry is stored in a row of Table Storage.

    PartitionKey  <collection hash>.<shard>   sixteen partitions a collection, so that no partition is a bottleneck
    RowKey        <key hash>                  SHA-256 over layout version, collection and key, in hex
    V0 .. V10     Binary, 64,000 bytes each   the sealed value
    C  Int64      created, milliseconds since 1970
    X  Int64      expires, milliseconds since 1970, rounded up; absent when the entry does not expire
    U  Binary     whose row it is, for who may know (owners.py); absent when it is nobody's

Keys are hashed because authorization codes are keys: a dump of the table must not hold one. Hashing also admits any
string, of any length, where Table Storage would refuse `/`, `#`, `?` and control characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, Any

from azure.data.tables import EdmType, EntityProperty
from key_value.aio.errors import CorruptedDataError, ValueTooLargeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

CHUNK_BYTES = 64_000
MAX_CHUNKS = 11
MAX_VALUE_BYTES = CHUNK_BYTES * MAX_CHUNKS
"""What one row holds on every implementation: Azurite counts the base64 of the value against the 1 MiB of an entity."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the entry of a collection and a key is stored; both parts are hashes."""

    partition: str
    row: str

    @classmethod
    def of(cls, collection: str, key: str, *, layout: bytes = b"row-1") -> Address:
        """Returns the address; equal names in another layout have another one."""
        row = sha256(b"\0".join((layout, _digest(collection), _digest(key)))).hexdigest()
        return cls(partition=f"{_prefix(collection)}.{row[0]}", row=row)


@dataclass(frozen=True, slots=True)
class Row:
    """A sealed value with its times, in milliseconds since 1970."""

    sealed: bytes
    created: int
    expires: int | None
    owner: bytes | None = None


def collection_range(collection: str) -> str:
    """Returns the filter that finds all rows of a collection; "/" follows "." in ASCII."""
    return f"PartitionKey ge '{_prefix(collection)}.' and PartitionKey lt '{_prefix(collection)}/'"


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970, rounded up, so that nothing expires early."""
    return ceil(moment.timestamp() * 1000)


def pack(address: Address, row: Row) -> dict[str, Any]:
    """Returns the entity to write.

    Raises:
        ValueTooLargeError: the sealed value is over `MAX_VALUE_BYTES`.
    """
    size = len(row.sealed)
    if size > MAX_VALUE_BYTES:
        raise ValueTooLargeError(size=size, max_size=MAX_VALUE_BYTES)
    chunks = [row.sealed[start : start + CHUNK_BYTES] for start in range(0, max(size, 1), CHUNK_BYTES)]
    entity: dict[str, Any] = {
        "PartitionKey": address.partition,
        "RowKey": address.row,
        "C": EntityProperty(row.created, EdmType.INT64),
        **{f"V{number}": chunk for number, chunk in enumerate(chunks)},
    }
    if row.expires is not None:
        entity["X"] = EntityProperty(row.expires, EdmType.INT64)
    if row.owner is not None:
        entity["U"] = row.owner
    return entity


def unpack(entity: Mapping[str, Any]) -> Row:
    """Returns the row that an entity holds.

    Raises:
        CorruptedDataError: the entity is not one that `pack` made.
    """
    try:
        chunks: list[bytes] = [entity["V0"]]
        while (chunk := entity.get(f"V{len(chunks)}")) is not None:
            chunks.append(chunk)
        expires = None if entity.get("X") is None else entity["X"].value
        # Whether a chunk is missing or altered shows when the value is opened.
        return Row(sealed=b"".join(chunks), created=entity["C"].value, expires=expires, owner=entity.get("U"))
    except (AttributeError, KeyError, TypeError) as error:
        raise CorruptedDataError("the row lacks a property or has one of another type") from error


def _prefix(collection: str) -> str:
    return _digest(collection).hex()[:16]


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
