"""A table full of expired and living rows, and the purge as a process of its own that can be killed and measured.

    python -m tests.support.purging <connection string> <table>

prints how many rows were deleted, how long it took, and by how many bytes the process's memory grew at most.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
from azure.data.tables import EdmType, EntityProperty

from entra_mcp.storage.purge import batches, purge
from entra_mcp.storage.rows import Address
from entra_mcp.storage.table import Table
from local.config import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

COLLECTIONS = 6
FILL_ROWS = 10_000
HOUR = 3_600_000
SAMPLE_SECONDS = 0.02


def _rows(number: int, *, name: str, expires: int) -> Iterator[dict[str, Any]]:
    for index in range(number):
        address = Address.of(f"collection{index % COLLECTIONS}", f"{name}{index}")
        yield {
            "PartitionKey": address.partition,
            "RowKey": address.row,
            "V0": b"x" * 100,
            "X": EntityProperty(expires, EdmType.INT64),
        }


async def fill_table(table: Table, *, expired: int, living: int) -> None:
    """Writes that many rows, of several collections."""
    now = int(time.time() * 1000)
    rows = itertools.chain(
        _rows(expired, name="expired", expires=now - HOUR), _rows(living, name="living", expires=now + 24 * HOUR)
    )
    for part in itertools.batched(rows, FILL_ROWS, strict=False):
        # One at a time: Azurite does no more, and a queue of them would pass the deadline.
        for batch in batches(part):
            assert await table.transact([("create", row) for row in batch]), "rows that were already there"


async def count(table: Table) -> int:
    """Returns how many rows the table has."""
    return sum([len(page) async for page in table.query("PartitionKey ge ''", select=("RowKey",))])


async def start_purge(connection_string: str, name: str) -> asyncio.subprocess.Process:
    """Starts the purge of a table as a process."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.purging", connection_string, name),
        cwd=REPOSITORY,
        env={"PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}"},
        stdout=asyncio.subprocess.PIPE,
    )


async def _main(connection_string: str, name: str) -> None:
    process = psutil.Process()
    async with Table.from_connection_string(connection_string, name=name) as table:
        await table.check()
        before = peak = process.memory_info().rss
        purging = asyncio.create_task(purge(table, budget_seconds=3600))
        while not purging.done():
            await asyncio.wait([purging], timeout=SAMPLE_SECONDS)
            peak = max(peak, process.memory_info().rss)
        summary = await purging
        print(summary.deleted, f"{summary.seconds:.1f}", peak - before)  # noqa: T201 - read by who started it


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
