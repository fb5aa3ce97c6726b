"""The purge at size: requests, memory, and what a kill in the middle costs, on a real Azurite.

The baseline deletes row by row, which is what a purge without transactions does; it runs on a sample.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bench.contestants import OURS
from bench.figures import BenchError
from entra_mcp.storage.table import Table
from tests.support.azurite import running_azurite
from tests.support.fault_proxy import fault_proxy
from tests.support.purging import count, fill_table, start_purge

if TYPE_CHECKING:
    from bench.session import Session

BASELINE = "row by row"
SAMPLE = 1000
NAME = "Purge"


def measure(session: Session) -> None:
    """Adds requests, seconds and megabytes of a purge of so many rows among twice as many.

    Raises:
        BenchError: rows are left, or living ones are gone.
    """
    with running_azurite(session.folder / "azurite") as azurite:
        asyncio.run(_measure(session, azurite.connection_string))


async def _row_by_row(connection_string: str) -> tuple[float, float]:
    """Requests and seconds for each row of a sample."""
    async with (
        fault_proxy(connection_string) as (proxy, through),
        Table.from_connection_string(through, name="Baseline") as table,
    ):
        await table.create()
        await fill_table(table, expired=SAMPLE, living=0)
        proxy.requests.clear()
        started = time.monotonic()
        async for page in table.query("X ge 0L", select=("PartitionKey", "RowKey")):
            for row in page:
                await table.delete(row["PartitionKey"], row["RowKey"])
        return proxy.total / SAMPLE, (time.monotonic() - started) / SAMPLE


async def _measure(session: Session, connection_string: str) -> None:
    rows = session.options.rows
    requests, seconds = await _row_by_row(connection_string)
    async with (
        fault_proxy(connection_string) as (proxy, through),
        Table.from_connection_string(connection_string, name=NAME) as table,
    ):
        await table.create()
        session.say(f"writing {2 * rows:,} rows, half of them expired")
        await fill_table(table, expired=rows, living=rows)
        session.say("a purge that is killed, and the next one")
        began = time.monotonic()
        killed = await start_purge(through, NAME)
        while proxy.total < rows // 200:  # noqa: ASYNC110 - it is another process that is waited for
            await asyncio.sleep(0.01)
        killed.kill()
        await killed.wait()
        process = await start_purge(through, NAME)
        output, _ = await process.communicate()
        took = time.monotonic() - began
        if (left := await count(table)) != rows:
            raise BenchError(f"{left:,} rows are left, {rows:,} are living")
    for name, total, spent in ((BASELINE, requests * rows, seconds * rows), (OURS, proxy.total, took)):
        session.part.add(f"requests for {rows:,} rows", name, total, "")
        session.part.add(f"time for {rows:,} rows", name, spent, "s")
    session.part.add("memory, grown by at most", OURS, int(output.split()[2]) / 1e6, "MB")
