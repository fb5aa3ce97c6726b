"""The purge at size: requests, memory, and what a kill in the middle costs, on a real Azurite.

The baseline deletes row by row, which is what a purge without transactions does; it runs on a sample.

    PYTHONPATH=src python -m bench.purge [--expired 100000] [--living 100000]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from entra_mcp.storage.table import Table
from tests.support.azurite import running_azurite
from tests.support.fault_proxy import fault_proxy
from tests.support.purging import count, fill_table, start_purge

SAMPLE = 1000
NAME = "Purge"


async def baseline(connection_string: str) -> tuple[float, float]:
    """Returns requests and seconds per 1,000 rows that are deleted one by one."""
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
        return float(proxy.total), time.monotonic() - started


async def measure(connection_string: str, *, expired: int, living: int) -> None:
    """Fills, purges, kills the purge half way, finishes it, and prints the table."""
    one_by_one, one_by_one_seconds = await baseline(connection_string)
    async with (
        fault_proxy(connection_string) as (proxy, through),
        Table.from_connection_string(connection_string, name=NAME) as table,
    ):
        await table.create()
        started = time.monotonic()
        await fill_table(table, expired=expired, living=living)
        print(f"{expired + living:,} rows written in {time.monotonic() - started:.0f} s, {expired:,} of them expired")

        killed = await start_purge(through, NAME)
        while proxy.total < expired // 200:  # noqa: ASYNC110 - it is another process that is waited for
            await asyncio.sleep(0.01)
        killed.kill()
        await killed.wait()
        left = await count(table)
        before = proxy.total
        process = await start_purge(through, NAME)
        output, _ = await process.communicate()
        deleted, seconds, growth = output.split()
        remaining = await count(table)

    scale = expired / SAMPLE
    print(f"killed after {before:,} requests and {expired + living - left:,} rows; then {int(deleted):,} were deleted")
    print(f"{remaining:,} rows are left, all of them living: {remaining == living}")
    print(f"memory grew by {int(growth) / 1e6:.1f} MB at most, {float(seconds):.0f} s for the second part\n")
    print(f"| {'':<14} | requests for {expired:,} rows | ratio |")
    print("|---|---:|---:|")
    print(f"| {'row by row':<14} | {one_by_one * scale:,.0f} (from {SAMPLE:,} rows) | 1 |")
    print(f"| {'this purge':<14} | {proxy.total:,} | {proxy.total / (one_by_one * scale):.4f} |")
    print(f"\nrow by row takes {one_by_one_seconds * scale:,.0f} s for as many")


def main() -> None:
    """Reads the arguments and runs."""
    parser = argparse.ArgumentParser(prog="python -m bench.purge", description="Measures the purge on Azurite.")
    parser.add_argument("--expired", type=int, default=100_000)
    parser.add_argument("--living", type=int, default=100_000)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_azurite(Path(folder) / "data") as azurite,
    ):
        asyncio.run(measure(azurite.connection_string, expired=options.expired, living=options.living))


if __name__ == "__main__":
    main()
