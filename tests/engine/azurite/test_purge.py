"""The purge: only what has expired goes, in few requests, within its time."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import pytest

from entra_mcp.storage.purge import purge, random_partition
from tests.support.fault_proxy import fault_proxy
from tests.support.purging import count, fill_table, start_purge

if TYPE_CHECKING:
    from entra_mcp.storage.store import TableStore
    from entra_mcp.storage.table import Table
    from tests.support.fault_proxy import FaultProxy


async def fill(store: TableStore, prefix: str, count: int, ttl: float | None) -> list[str]:
    keys = [f"{prefix}{number}" for number in range(count)]
    for part in itertools.batched(keys, 50, strict=False):
        await asyncio.gather(*(store.put(key, {"a": 1}, collection="c", ttl=ttl) for key in part))
    return keys


async def test_purge_deletes_expired_rows_only(store: TableStore, table: Table) -> None:
    await fill(store, "expired", 150, 0.05)
    kept = await fill(store, "living", 20, 60) + await fill(store, "for ever", 20, None)
    await asyncio.sleep(0.1)
    summary = await purge(table, budget_seconds=60)
    assert (summary.deleted, summary.kept, summary.finished) == (150, 0, True)
    assert await count(table) == 40
    assert None not in await store.get_many(kept, collection="c")


async def test_purge_of_an_empty_table(table: Table) -> None:
    summary = await purge(table, budget_seconds=60)
    assert (summary.deleted, summary.finished) == (0, True)


async def partitions(table: Table) -> set[str]:
    pages = table.query("PartitionKey ge ''", select=("PartitionKey",))
    return {row["PartitionKey"] async for page in pages for row in page}


def begin_at(monkeypatch: pytest.MonkeyPatch, partition: str) -> None:
    async def there(_: Table) -> str:
        return partition

    monkeypatch.setattr("entra_mcp.storage.purge.random_partition", there)


async def test_purge_begins_in_the_middle_and_comes_to_what_is_before(
    store: TableStore, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, "expired", 150, 0.05)
    await asyncio.sleep(0.1)
    ordered = sorted(await partitions(table))
    begin_at(monkeypatch, ordered[8])
    assert not (await purge(table, budget_seconds=0)).finished
    assert await partitions(table) <= {*ordered[:8], ordered[-1]}
    summary = await purge(table, budget_seconds=60)
    assert (summary.finished, await partitions(table)) == (True, set())


async def test_purge_may_begin_at_every_partition(store: TableStore, table: Table) -> None:
    await fill(store, "k", 150, None)
    every = await partitions(table)
    assert len(every) == 16
    seen: set[str] = set()
    async with asyncio.timeout(60):
        while not seen >= every:
            seen.add(await random_partition(table))
    assert seen <= every | {""}, "the first of all follows on the last"


async def test_purge_without_time_stops_and_the_next_goes_on(
    store: TableStore, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_at(monkeypatch, "")
    await fill(store, "expired", 1100, 0.05)
    await asyncio.sleep(0.1)
    first = await purge(table, budget_seconds=0)
    assert not first.finished
    assert 900 < first.deleted <= 1000
    second = await purge(table, budget_seconds=60)
    assert (second.finished, second.deleted) == (True, 1100 - first.deleted)
    assert await count(table) == 0


async def test_purge_leaves_a_row_that_was_renewed_after_it_was_found(
    faulty: tuple[FaultProxy, TableStore, Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, store, table = faulty
    begin_at(monkeypatch, "")
    await fill(store, "k", 200, 0.05)
    await asyncio.sleep(0.1)
    proxy.latency = 0.3
    purging = asyncio.create_task(purge(table, budget_seconds=60))
    # The query is answered after 0.3 s, the first transaction carried out after 0.6 s.
    await asyncio.sleep(0.4)
    proxy.latency = 0.0
    proxy.requests.clear()
    await store.put("k7", {"renewed": True}, collection="c", ttl=60)
    summary = await purging
    assert (summary.deleted, summary.kept, summary.finished) == (199, 1, True)
    assert proxy.total < 40
    assert await store.get("k7", collection="c") == {"renewed": True}
    assert await count(table) == 1


async def test_purge_while_others_write_deletes_expired_rows_only(store: TableStore, table: Table) -> None:
    await fill(store, "k", 200, 0.05)
    await asyncio.sleep(0.1)
    renewed = [f"k{number}" for number in range(0, 200, 7)]
    await asyncio.gather(
        purge(table, budget_seconds=60),
        *(store.put(key, {"renewed": True}, collection="c", ttl=60) for key in renewed),
    )
    assert await store.get_many(renewed, collection="c") == [{"renewed": True}] * len(renewed)
    await purge(table, budget_seconds=60)
    assert await count(table) == len(renewed)


@pytest.mark.long
async def test_purge_of_thousands_of_rows_takes_few_requests(azurite: str, table: Table) -> None:
    """The share of 3,000 in the 1,250 requests that 100,000 rows may take, and one for each of 96 partitions."""
    await fill_table(table, expired=3000, living=3000)
    async with fault_proxy(azurite) as (proxy, connection_string):
        process = await start_purge(connection_string, table.name)
        output, _ = await process.communicate()
        assert (process.returncode, output.split()[0]) == (0, b"3000")
        assert proxy.total <= 1250 * 3000 // 100_000 + 96
    assert await count(table) == 3000


@pytest.mark.long
async def test_purge_that_was_killed_is_finished_by_the_next(azurite: str, table: Table) -> None:
    await fill_table(table, expired=3000, living=3000)
    async with fault_proxy(azurite) as (proxy, connection_string):
        process = await start_purge(connection_string, table.name)
        while proxy.total < 20:  # noqa: ASYNC110 - it is another process that is waited for
            await asyncio.sleep(0.005)
        process.kill()
        await process.wait()
        left = await count(table)
        assert 3000 < left < 6000
        process = await start_purge(connection_string, table.name)
        output, _ = await process.communicate()
        assert int(output.split()[0]) <= left - 3000
    assert await count(table) == 3000
