"""The purge: only what has expired goes, in few requests, within its time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from entra_mcp.storage.purge import purge

if TYPE_CHECKING:
    from entra_mcp.storage.store import TableStore
    from entra_mcp.storage.table import Table


async def fill(store: TableStore, prefix: str, count: int, ttl: float | None) -> list[str]:
    keys = [f"{prefix}{number}" for number in range(count)]
    await asyncio.gather(*(store.put(key, {}, collection="c", ttl=ttl) for key in keys))
    return keys


async def rows(table: Table) -> int:
    return sum([len(page) async for page in table.query("PartitionKey ge ''", select=("RowKey",))])


async def test_purge_deletes_expired_rows_only(store: TableStore, table: Table) -> None:
    await fill(store, "expired", 150, 0.05)
    kept = await fill(store, "living", 20, 60) + await fill(store, "for ever", 20, None)
    await asyncio.sleep(0.1)
    summary = await purge(table, budget_seconds=60)
    assert (summary.deleted, summary.kept, summary.finished) == (150, 0, True)
    assert await rows(table) == 40
    assert None not in await store.get_many(kept, collection="c")


async def test_purge_of_an_empty_table(table: Table) -> None:
    summary = await purge(table, budget_seconds=60)
    assert (summary.deleted, summary.finished) == (0, True)


async def test_purge_without_time_stops_and_the_next_goes_on(store: TableStore, table: Table) -> None:
    await fill(store, "expired", 1100, 0.05)
    await asyncio.sleep(0.1)
    first = await purge(table, budget_seconds=0)
    assert (first.finished, first.deleted) == (False, 1000)
    second = await purge(table, budget_seconds=60)
    assert (second.finished, second.deleted) == (True, 100)
    assert await rows(table) == 0
