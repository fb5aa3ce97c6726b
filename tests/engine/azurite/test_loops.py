"""A store on several event loops, after it was closed, and what set-up costs."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING
from uuid import uuid4

from entra_mcp.storage.store import TableStore
from entra_mcp.storage.table import Table
from tests.support.fault_proxy import Fault, fault_proxy

if TYPE_CHECKING:
    from entra_mcp.storage.encryption import RowCipher
    from tests.support.fault_proxy import FaultProxy


def test_store_works_on_one_loop_after_another(azurite: str, cipher: RowCipher) -> None:
    table = Table.from_connection_string(azurite, name=f"T{uuid4().hex}")
    store = TableStore(table=table, cipher=cipher, auto_create=True)

    async def use(number: int) -> None:
        async with table:
            await asyncio.gather(*(store.put(f"k{number}.{n}", {"n": n}, collection="c") for n in range(5)))
            assert await store.get("k0.4", collection="c") == {"n": 4}

    for number in range(3):
        asyncio.run(use(number))


def test_store_works_on_several_loops_at_once(azurite: str, cipher: RowCipher) -> None:
    table = Table.from_connection_string(azurite, name=f"T{uuid4().hex}")
    store = TableStore(table=table, cipher=cipher, auto_create=True)
    together = threading.Barrier(4)
    found: list[list[object]] = []

    async def use(number: int) -> None:
        async with table:
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


async def test_set_up_without_auto_create_costs_no_request(azurite: str, cipher: RowCipher) -> None:
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


async def test_set_up_with_auto_create_makes_the_table_once(azurite: str, cipher: RowCipher) -> None:
    async with (
        fault_proxy(azurite) as (proxy, connection_string),
        Table.from_connection_string(connection_string, name=f"T{uuid4().hex}") as table,
    ):
        for _ in range(2):
            store = TableStore(table=table, cipher=cipher, auto_create=True)
            await store.setup()
            await store.put("k", {}, collection="c")
            await store.put("k", {}, collection="d")
        assert proxy.requests == {"POST": 2, "PUT": 4}


async def test_set_up_whose_response_was_lost_is_complete(azurite: str, cipher: RowCipher) -> None:
    async with (
        fault_proxy(azurite) as (proxy, connection_string),
        Table.from_connection_string(connection_string, name=f"T{uuid4().hex}") as table,
    ):
        proxy.break_next(Fault.LOSE_RESPONSE, method="POST")
        store = TableStore(table=table, cipher=cipher, auto_create=True)
        await store.setup()
        assert await store.get("k", collection="c") is None


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
