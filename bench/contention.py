"""Exactly one winner, at length: 50 callers on two processes want the same row, on a real Azurite.

The baseline is what a key-value store leaves callers to do: read the value, then delete it.
"""

from __future__ import annotations

import asyncio
import time

from bench.contestants import OURS, Session
from bench.figures import BenchError
from entra_mcp.storage.table import Table
from tests.support.contenders import CALLS, PROCESSES, contend, open_store

SERVERS = ()
BASELINE = "get, then delete"
OPERATIONS = {BASELINE: "get and delete", OURS: "acquire"}
WANTED = 40
"""Rows that are wanted for each round of the other parts."""


async def measure(session: Session) -> None:
    """Adds seconds, and the winners of the row that had most.

    Raises:
        BenchError: a row of this server's had no winner, or several.
    """
    rounds = session.options.rounds * WANTED
    for name, operation in OPERATIONS.items():
        session.say(f"{name}: {PROCESSES * CALLS} callers, {rounds} rows")
        wins, seconds = await _contend(session.storage, operation, rounds)
        session.part.add(f"most winners of one of {rounds} rows", name, max(wins), "")
        session.part.add("time", name, seconds, "s")
        if name == OURS and wins != [1] * rounds:
            raise BenchError(f"{rounds - wins.count(1)} of {rounds} rows did not have exactly one winner")


async def _contend(connection_string: str, operation: str, rounds: int) -> tuple[list[int], float]:
    """The winners of each row, and the seconds they took together."""
    name = operation.title().replace(" ", "")
    async with Table.from_connection_string(connection_string, name=name) as table:
        await table.create()
        keys = [f"k{number}" for number in range(rounds)]
        await open_store(table).put_many(keys, [{"a": 1}] * rounds, collection="c")
    started = time.monotonic()
    wins = await asyncio.to_thread(contend, operation, connection_string=connection_string, table=name, rounds=rounds)
    return wins, time.monotonic() - started
