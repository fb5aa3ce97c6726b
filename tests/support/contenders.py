"""Two processes that do the same thing at the same moment, many times at once, round after round."""

from __future__ import annotations

import asyncio
import multiprocessing
from typing import TYPE_CHECKING, Any

from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.ledger import Lease, Ledger
from entra_mcp.storage.store import TableStore
from entra_mcp.storage.table import Table
from entra_mcp.vault.keys import KeyRing, RootKey

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

PROCESSES = 2
CALLS = 25
"""How many calls each process sends at once; together they are 50."""

MATERIAL = bytes(range(32))
"""Both processes seal and open with it."""

SECONDS = 300
"""For one process to be done with all its rounds."""


def cipher() -> RowCipher:
    return RowCipher(KeyRing((RootKey(version="1", material=MATERIAL),)))


def open_store(table: Table) -> TableStore:
    return TableStore(table=table, cipher=cipher())


def contend(operation: str, *, connection_string: str, table: str, rounds: int) -> list[int]:
    """Returns how many calls won, round by round, over both processes."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    results: Queue[list[int]] = context.Queue()
    arguments = (operation, connection_string, table, rounds, barrier, results)
    processes = [context.Process(target=_process, args=arguments, daemon=True) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    try:
        wins = [results.get(timeout=SECONDS) for _ in processes]
    finally:
        for process in processes:
            process.join(5)
            process.kill()
    return [sum(counts) for counts in zip(*wins, strict=True)]


def _process(
    operation: str, connection_string: str, name: str, rounds: int, barrier: Barrier, results: Queue[list[int]]
) -> None:
    results.put(asyncio.run(_rounds(operation, connection_string, name, rounds, barrier)))


async def _rounds(operation: str, connection_string: str, name: str, rounds: int, barrier: Barrier) -> list[int]:
    wins: list[int] = []
    async with Table.from_connection_string(connection_string, name=name) as table:
        store, ledger = open_store(table), Ledger(table=table, cipher=cipher())

        async def call(key: str) -> Any:  # noqa: ANN401 - only whether it is true counts
            match operation:
                case "acquire":
                    claim = await ledger.acquire("code", key, seconds=30, expires_in=60)
                    return isinstance(claim, Lease) and await ledger.settle(claim, {})
                case _:
                    value = await store.get(key, collection="c")
                    await store.delete(key, collection="c")
                    return value

        await table.check()
        for number in range(rounds):
            await asyncio.to_thread(barrier.wait, SECONDS)
            outcomes = await asyncio.gather(*(call(f"k{number}") for _ in range(CALLS)))
            wins.append(sum(bool(outcome) for outcome in outcomes))
    return wins
