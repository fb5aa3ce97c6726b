"""Whose row it is, for who may know: a mark by which all rows of one person can be found and deleted, not read.

    mark = nonce, 16 bytes | first 16 bytes of HMAC-SHA256(key, nonce | owner)

The key is derived from the vault's. A dump of the table shows nothing: each row has a nonce of its own, so not even
that two rows are the same person's. Who has the vault's key too can test a guess, one row at a time; no mark opens a
row.
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING

from entra_mcp.storage.rows import collection_range
from entra_mcp.vault.keys import Purpose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from entra_mcp.storage.table import Table
    from entra_mcp.vault.keys import KeySource

NONCE_BYTES = 16
TAG_BYTES = 16


class OwnerMarks:
    """Marks rows under the key that signs now; recognizes marks under every key of the ring."""

    def __init__(self, source: KeySource) -> None:
        self._source = source

    def mark(self, owner: str) -> bytes:
        """Returns a new mark of the owner; no two are alike."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + _tag(self._source.ring.newest.derive(Purpose.OWNERS), nonce, owner)

    def matches(self, mark: object, owner: str) -> bool:
        """Whether it is a mark of this owner."""
        if not isinstance(mark, bytes) or len(mark) != NONCE_BYTES + TAG_BYTES:
            return False
        nonce, tag = mark[:NONCE_BYTES], mark[NONCE_BYTES:]
        return any(
            hmac.compare_digest(_tag(key, nonce, owner), tag) for key in self._source.ring.derive(Purpose.OWNERS)
        )


async def delete_owned(
    table: Table, *, marks: OwnerMarks, owner: str, collections: Iterable[str]
) -> AsyncIterator[tuple[int, int]]:
    """Deletes the owner's rows of the collections; yields how many rows were looked at and deleted, page by page.

    Raises:
        StorageError: the service is out of reach; what was deleted until then stays deleted.
    """
    seen = deleted = 0
    for collection in collections:
        async for page in table.query(collection_range(collection), select=("PartitionKey", "RowKey", "U")):
            seen += len(page)
            for row in page:
                if marks.matches(row.get("U"), owner):
                    deleted += await table.delete(row["PartitionKey"], row["RowKey"])
            yield seen, deleted


def _tag(key: bytes, nonce: bytes, owner: str) -> bytes:
    return hmac.digest(key, nonce + owner.encode(), "sha256")[:TAG_BYTES]
