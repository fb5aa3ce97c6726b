"""Deletes what has expired.

One scan finds the expired rows; they are deleted in transactions of up to 100 rows of one partition, each row on the
condition that it has not changed since: a row renewed meanwhile survives.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from azure.core import MatchConditions

from entra_mcp.storage.bulk import batches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entra_mcp.storage.table import Entity, Operation, Table


@dataclass(frozen=True, slots=True)
class PurgeSummary:
    """What one purge did; `finished` is False when its time was up first, and the next one goes on."""

    deleted: int
    kept: int
    seconds: float
    finished: bool


async def purge(table: Table, *, budget_seconds: float) -> PurgeSummary:
    """Deletes expired rows for at most about `budget_seconds`.

    Raises:
        StorageError: the service is out of reach; what was deleted until then stays deleted.
    """
    started = time.monotonic()
    now = int(time.time() * 1000)
    deleted = kept = 0
    finished = True
    async for page in table.query(f"X le {now}L", select=("PartitionKey", "RowKey")):
        for batch in batches(page, partition=lambda entity: entity["PartitionKey"]):
            removed = await _delete_unchanged(table, batch)
            deleted += removed
            kept += len(batch) - removed
        if time.monotonic() - started > budget_seconds:
            finished = False
            break
    return PurgeSummary(deleted=deleted, kept=kept, seconds=time.monotonic() - started, finished=finished)


async def _delete_unchanged(table: Table, rows: Sequence[Entity]) -> int:
    operations: list[Operation] = [
        (
            "delete",
            {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"]},
            {"etag": row.metadata["etag"], "match_condition": MatchConditions.IfNotModified},
        )
        for row in rows
    ]
    if await table.transact(operations):
        return len(rows)
    # One changed row refuses its whole transaction: delete the others one by one.
    return sum([await table.delete(row["PartitionKey"], row["RowKey"], etag=row.metadata["etag"]) for row in rows])
