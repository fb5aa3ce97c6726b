"""Deletes what has expired.

One scan finds the expired rows; they are deleted in transactions of up to 100 rows of one partition, each row on the
condition that it has not changed since: a row renewed meanwhile survives.

The scan begins somewhere else each time. So where its time is always up before the end, each partition has its turn.
"""

from __future__ import annotations

import itertools
import secrets
import string
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from entra_mcp.storage.table import Entity, Operation, Table

TRANSACTION_ROWS = 100


@dataclass(slots=True)
class PurgeSummary:
    """What one purge did; `finished` is False when its time was up or it failed first, and the next one goes on."""

    deleted: int = 0
    kept: int = 0
    """Rows that somebody renewed, or deleted, after they were found."""
    seconds: float = 0.0
    finished: bool = False


async def purge(table: Table, *, budget_seconds: float, summary: PurgeSummary | None = None) -> PurgeSummary:
    """Deletes expired rows for at most about `budget_seconds`.

    Returns the summary, a new one unless the caller gives it, who then knows also what was done before an error.

    Raises:
        StorageError: the service is out of reach; what was deleted until then stays deleted.
    """
    summary = summary or PurgeSummary()
    started = time.monotonic()
    try:
        summary.finished = await _delete_expired(table, summary, until=started + budget_seconds)
    finally:
        summary.seconds = time.monotonic() - started
    return summary


async def _delete_expired(table: Table, summary: PurgeSummary, *, until: float) -> bool:
    """Deletes what has expired by now; returns False when the time was up before the end."""
    rest: list[Entity] = []
    async for page in _expired(table, start=await random_partition(table)):
        groups = batches([*rest, *page])
        # Rows come partition by partition: the last group may go on in the next page.
        rest = groups.pop() if groups and len(groups[-1]) < TRANSACTION_ROWS else []
        for group in groups:
            await _delete_unchanged(table, group, summary)
        if time.monotonic() > until:
            return False
    if rest:
        await _delete_unchanged(table, rest, summary)
    return True


async def _expired(table: Table, *, start: str) -> AsyncIterator[list[Entity]]:
    """Yields pages of what has expired by now: partition by partition from there on, and then those before it."""
    now = int(time.time() * 1000)
    for part in ("ge", "lt"):
        filter_ = f"PartitionKey {part} '{start}' and X le {now}L"
        async for page in table.query(filter_, select=("PartitionKey", "RowKey")):
            yield page


async def random_partition(table: Table) -> str:
    """Any of those (rows.py) of the collection that follows on a random hash; the first of all where none follows."""
    async for page in table.query(f"PartitionKey ge '{secrets.token_hex(8)}'", select=("PartitionKey",)):
        if page:
            return f"{page[0]['PartitionKey'].partition('.')[0]}.{secrets.choice(string.hexdigits[:16])}"
    return ""


async def _delete_unchanged(table: Table, rows: Sequence[Entity], summary: PurgeSummary) -> None:
    if len(rows) == 1:
        (row,) = rows
        if await table.delete(row["PartitionKey"], row["RowKey"], etag=row.metadata["etag"]):
            summary.deleted += 1
        else:
            summary.kept += 1
        return
    operations: list[Operation] = [
        (
            "delete",
            {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"]},
            {"etag": row.metadata["etag"], "match_condition": MatchConditions.IfNotModified},
        )
        for row in rows
    ]
    if await table.transact(operations):
        summary.deleted += len(rows)
        return
    # One changed row refuses its whole transaction: halve it until that row is alone.
    middle = len(rows) // 2
    await _delete_unchanged(table, rows[:middle], summary)
    await _delete_unchanged(table, rows[middle:], summary)


def batches[Row: Mapping[str, Any]](rows: Iterable[Row]) -> list[list[Row]]:
    """Returns the rows in groups that fit one transaction each: of one partition, and few enough."""
    partitions: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        partitions[row["PartitionKey"]].append(row)
    return [
        list(batch)
        for group in partitions.values()
        for batch in itertools.batched(group, TRANSACTION_ROWS, strict=False)
    ]
