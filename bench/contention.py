"""Exactly one winner, at length: 50 callers on two processes want the same row, on a real Azurite, for each operation.

The baseline is what a key-value store leaves callers to do: read the value, then delete it.

    PYTHONPATH=src python -m bench.contention [--rounds 200]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from entra_mcp.storage.table import Table
from tests.support.azurite import running_azurite
from tests.support.contenders import CALLS, PROCESSES, contend, open_store

GET_AND_DELETE = "get and delete"
OPERATIONS = (GET_AND_DELETE, "claim")


async def measure(connection_string: str, operation: str, *, rounds: int) -> tuple[list[int], float]:
    """Returns the winners of each round, and the seconds they took together."""
    name = "".join(part.title() for part in operation.replace("_", " ").split())
    async with Table.from_connection_string(connection_string, name=name) as table:
        await table.create()
        if operation == GET_AND_DELETE:
            keys = [f"k{number}" for number in range(rounds)]
            await open_store(table).put_many(keys, [{"a": 1}] * rounds, collection="c")
    started = time.monotonic()
    wins = await asyncio.to_thread(contend, operation, connection_string=connection_string, table=name, rounds=rounds)
    return wins, time.monotonic() - started


def main() -> int:
    """Reads the arguments and runs; exit code 1 when an operation had a round without exactly one winner."""
    parser = argparse.ArgumentParser(prog="python -m bench.contention", description="Counts winners on Azurite.")
    parser.add_argument("--rounds", type=int, default=200)
    rounds: int = parser.parse_args().rounds
    print(f"{PROCESSES * CALLS} callers on {PROCESSES} processes, {rounds} rounds\n")
    print(f"| {'operation':<14} | rounds with one winner | most winners | seconds | ratio |")
    print("|---|---:|---:|---:|---:|")
    right, baseline = True, 0.0
    with tempfile.TemporaryDirectory() as folder, running_azurite(Path(folder) / "data") as azurite:
        for operation in OPERATIONS:
            wins, seconds = asyncio.run(measure(azurite.connection_string, operation, rounds=rounds))
            baseline = baseline or seconds
            print(
                f"| {operation:<14} | {wins.count(1)} | {max(wins)} | {seconds:.1f} | {seconds / baseline:.2f} |",
                flush=True,
            )
            right = right and (operation == OPERATIONS[0] or wins == [1] * rounds)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
