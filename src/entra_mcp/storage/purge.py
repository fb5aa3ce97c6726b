"""Deletes what has expired.

One scan finds the expired rows; they are deleted in transactions of up to 100 rows of one partition, each row on the
condition that it has not changed since: a row renewed meanwhile survives.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.data.tables import TableEntity

    from entra_mcp.storage.table import Table

TRANSACTION_ROWS = 100


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
        partitions: defaultdict[str, list[TableEntity]] = defaultdict(list)
        for entity in page:
            partitions[entity["PartitionKey"]].append(entity)
        for rows in partitions.values():
            for batch in batched(rows, TRANSACTION_ROWS, strict=False):
                if await table.delete_unchanged(batch):
                    deleted += len(batch)
                else:
                    # One changed row refuses its whole transaction: delete the others one by one.
                    outcomes = [await table.delete_unchanged([row]) for row in batch]
                    deleted += sum(outcomes)
                    kept += len(outcomes) - sum(outcomes)
        if time.monotonic() - started > budget_seconds:
            finished = False
            break
    return PurgeSummary(deleted=deleted, kept=kept, seconds=time.monotonic() - started, finished=finished)
