"""A store on several event loops, after it was closed, and what its creation costs."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from entra_mcp.storage.store import TableStore
from entra_mcp.storage.table import Table
from tests.support.fault_proxy import Fault, fault_proxy

if TYPE_CHECKING:
    from entra_mcp.storage.encryption import RowCipher
    from tests.support.fault_proxy import FaultProxy


@pytest.fixture
def created(azurite: str) -> Table:
    """A table of its own, which no event loop uses yet."""
    table = Table.from_connection_string(azurite, name=f"T{uuid4().hex}")

    async def create() -> None:
        async with table:
            await table.create()

    asyncio.run(create())
    return table


def test_store_works_on_one_loop_after_another(created: Table, cipher: RowCipher) -> None:
    store = TableStore(table=created, cipher=cipher)

    async def use(number: int) -> None:
        async with created:
            await asyncio.gather(*(store.put(f"k{number}.{n}", {"n": n}, collection="c") for n in range(5)))
            assert await store.get("k0.4", collection="c") == {"n": 4}

    for number in range(3):
        asyncio.run(use(number))


def test_store_works_on_several_loops_at_once(created: Table, cipher: RowCipher) -> None:
    store = TableStore(table=created, cipher=cipher)
    together = threading.Barrier(4)
    found: list[list[object]] = []

    async def use(number: int) -> None:
        async with created:
            together.wait(10)
            await asyncio.gather(*(store.put(f"{number}.{n}", {"n": n}, collection="c") for n in range(20)))
            found.append(list(await store.get_many([f"{number}.{n}" for n in range(20)], collection="c")))

    threads = [threading.Thread(target=asyncio.run, args=(use(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [[{"n": n} for n in range(20)]] * 4


async def test_store_works_again_after_its_table_was_closed(store: TableStore, table: Table) -> None:
    await store.put("k", {"a": 1}, collection="c")
    await table.close()
    await table.close()
    assert await store.get("k", collection="c") == {"a": 1}


async def test_set_up_costs_no_request(azurite: str, cipher: RowCipher) -> None:
    name = f"T{uuid4().hex}"
    async with Table.from_connection_string(azurite, name=name) as direct:
        await direct.create()
    async with (
        fault_proxy(azurite) as (proxy, connection_string),
        Table.from_connection_string(connection_string, name=name) as table,
    ):
        store = TableStore(table=table, cipher=cipher)
        await store.setup()
        assert proxy.total == 0
        await store.get("k", collection="c")
        await store.get("k", collection="d")
        assert proxy.requests == {"GET": 2}


async def test_table_may_be_created_twice_in_one_request_each(azurite: str) -> None:
    async with (
        fault_proxy(azurite) as (proxy, connection_string),
        Table.from_connection_string(connection_string, name=f"T{uuid4().hex}") as table,
    ):
        for _ in range(2):
            await table.create()
            await table.check()
        assert proxy.requests == {"POST": 2, "GET": 2}


async def test_creation_whose_response_was_lost_is_complete(azurite: str) -> None:
    async with (
        fault_proxy(azurite) as (proxy, connection_string),
        Table.from_connection_string(connection_string, name=f"T{uuid4().hex}") as table,
    ):
        proxy.break_next(Fault.LOSE_RESPONSE, method="POST")
        await table.create()
        await table.check()


async def test_each_operation_costs_one_request(faulty: tuple[FaultProxy, TableStore, Table]) -> None:
    proxy, store, _ = faulty
    for operation in (
        store.put("k", {}, collection="c", ttl=60),
        store.get("k", collection="c"),
        store.ttl("k", collection="c"),
        store.delete("k", collection="c"),
        store.delete("k", collection="c"),
    ):
        proxy.requests.clear()
        await operation
        assert proxy.total == 1
