"""The purge at size: requests, memory, and what a kill in the middle costs, on a real Azurite.

The baseline deletes row by row, which is what a purge without transactions does; it runs on a sample.
"""

from __future__ import annotations

import asyncio
import time

from bench.contestants import OURS, Session
from bench.figures import BenchError
from entra_mcp.storage.table import Table
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.purging import count, fill_table, start_purge

SERVERS = ()
BASELINE = "row by row"
SAMPLE = 1000
NAME = "Purge"


async def measure(session: Session) -> None:
    """Adds requests, seconds and megabytes of a purge of so many rows among twice as many.

    Raises:
        BenchError: rows are left, or living ones are gone.
    """
    rows = session.options.rows
    async with fault_proxy(session.storage) as (proxy, through):
        requests, seconds = await _row_by_row(proxy, through)
        async with Table.from_connection_string(session.storage, name=NAME) as table:
            await table.create()
            session.say(f"writing {2 * rows:,} rows, half of them expired")
            await fill_table(table, expired=rows, living=rows)
            session.say("a purge that is killed, and the next one")
            proxy.requests.clear()
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


async def _row_by_row(proxy: FaultProxy, through: str) -> tuple[float, float]:
    """Requests and seconds for each row of a sample."""
    async with Table.from_connection_string(through, name="Baseline") as table:
        await table.create()
        await fill_table(table, expired=SAMPLE, living=0)
        proxy.requests.clear()
        started = time.monotonic()
        async for page in table.query("X ge 0L", select=("PartitionKey", "RowKey")):
            for row in page:
                await table.delete(row["PartitionKey"], row["RowKey"])
        return proxy.total / SAMPLE, (time.monotonic() - started) / SAMPLE
