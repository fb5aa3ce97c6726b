"""Exactly one winner, however many callers there are, in two processes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

from entra_mcp.storage.table import Table
from tests.support.contenders import contend

if TYPE_CHECKING:
    from entra_mcp.storage.store import TableStore

ROUNDS = 4


async def test_one_of_fifty_claimants_on_two_processes_wins_every_round(azurite: str) -> None:
    name = f"T{uuid4().hex}"
    async with Table.from_connection_string(azurite, name=name) as table:
        await table.create()
    wins = await asyncio.to_thread(contend, "acquire", connection_string=azurite, table=name, rounds=ROUNDS)
    assert wins == [1] * ROUNDS


async def test_default_collection_is_the_same_for_every_operation(store: TableStore) -> None:
    await store.put("k", {"a": 1})
    assert await store.get("k") == {"a": 1}
    assert await store.put_if_present("k", {"a": 2}) is True
    assert await store.delete("k") is True
