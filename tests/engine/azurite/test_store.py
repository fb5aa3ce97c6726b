"""The key-value store on a real Table Storage emulator."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from key_value.aio.errors import ValueTooLargeError

from entra_mcp.patience import Patience
from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.rows import Address
from entra_mcp.storage.store import TableStore
from entra_mcp.vault.keys import KeyRing, RootKey
from tests.support.fault_proxy import Fault

if TYPE_CHECKING:
    from entra_mcp.storage.table import Table
    from tests.support.fault_proxy import FaultProxy


async def test_put_replaces_the_whole_value(store: TableStore) -> None:
    await store.put("k", {"long": os.urandom(100_000).hex()}, collection="c", ttl=60)
    await store.put("k", {"short": 1}, collection="c")
    assert await store.ttl("k", collection="c") == ({"short": 1}, None)


async def test_delete_by_many_at_once_succeeds_once(store: TableStore) -> None:
    await store.put("k", {}, collection="c")
    assert sorted(await asyncio.gather(*(store.delete("k", collection="c") for _ in range(20)))) == [False] * 19 + [
        True
    ]


@pytest.mark.parametrize("text", [os.urandom(400_000).hex(), "x" * 17_000_000], ids=["random", "compressible"])
async def test_put_of_a_value_that_is_too_large_is_refused_and_the_old_one_stays(store: TableStore, text: str) -> None:
    await store.put("k", {"old": True}, collection="c")
    with pytest.raises(ValueTooLargeError):
        await store.put("k", {"text": text}, collection="c")
    assert await store.get("k", collection="c") == {"old": True}


async def test_largest_value_is_stored(store: TableStore) -> None:
    value = {"random": b64encode(os.urandom(524_970)).decode()}
    assert 699_900 < len(json.dumps(value)) <= 700_000
    await store.put("k", value, collection="c")
    assert await store.get("k", collection="c") == value


async def test_nothing_of_key_collection_or_value_is_readable_in_the_table(store: TableStore, table: Table) -> None:
    secret = "hunter2-access-token"
    await store.put(
        "hunter2-code", {"token": secret, "client": "hunter2"}, collection="mcp-authorization-codes", ttl=60
    )
    rows = [row async for page in table.query("PartitionKey ge ''", select=()) for row in page]
    assert len(rows) == 1
    dump = repr(rows[0]) + repr(rows[0].metadata)
    for word in ("hunter2", "mcp-authorization-codes", "client", "token"):
        assert word not in dump


async def test_row_under_a_lost_key_reads_as_missing_and_is_logged(
    store: TableStore, table: Table, caplog: pytest.LogCaptureFixture
) -> None:
    await store.put("k", {"a": 1}, collection="c")
    other = TableStore(table=table, cipher=RowCipher(KeyRing((RootKey(version="2", material=os.urandom(32)),))))
    with caplog.at_level(logging.WARNING):
        assert await other.get("k", collection="c") is None
    assert "no longer gives" in caplog.text
    assert await store.get("k", collection="c") == {"a": 1}


async def test_row_that_was_moved_or_damaged_reads_as_missing(store: TableStore, table: Table) -> None:
    await store.put("victim", {"a": 1}, collection="c")
    await store.put("own", {"a": 2}, collection="c")
    victim, own = Address.of("c", "victim"), Address.of("c", "own")
    row = await table.read(victim.partition, victim.row)
    assert row is not None
    stored: dict[str, Any] = {**row}
    await table.replace(stored | {"PartitionKey": own.partition, "RowKey": own.row})
    await table.replace(stored | {"V0": b"damaged"})
    assert await store.get("own", collection="c") is None
    assert await store.get("victim", collection="c") is None


def ring(*versions: str) -> RowCipher:
    return RowCipher(
        KeyRing(tuple(RootKey(version=version, material=version[0].encode() * 32) for version in versions))
    )


async def test_row_under_an_older_key_is_written_again_under_the_newest_when_it_is_read(table: Table) -> None:
    await TableStore(table=table, cipher=ring("1")).put("k", {"a": 1}, collection="c", ttl=60)
    both = TableStore(table=table, cipher=ring("2", "1"))
    _, before = await both.ttl("k", collection="c")
    newest = TableStore(table=table, cipher=ring("2"))
    value, after = await newest.ttl("k", collection="c")
    assert value == {"a": 1}
    assert before is not None
    assert after is not None
    assert 0 <= before - after < 1


async def test_row_under_the_newest_key_is_not_written_by_reading(
    faulty: tuple[FaultProxy, TableStore, Table],
) -> None:
    proxy, _, table = faulty
    store = TableStore(table=table, cipher=ring("2", "1"))
    await store.put("k", {"a": 1}, collection="c")
    proxy.requests.clear()
    await store.get_many(["k", "missing"], collection="c")
    assert proxy.requests == {"GET": 2}


async def test_row_that_cannot_be_renewed_is_still_read(
    faulty: tuple[FaultProxy, TableStore, Table], caplog: pytest.LogCaptureFixture
) -> None:
    proxy, _, table = faulty
    await TableStore(table=table, cipher=ring("1")).put("k", {"a": 1}, collection="c")
    both = TableStore(table=table, cipher=ring("2", "1"))
    for fault in (503, Fault.HANG):
        proxy.break_next(fault, times=1000, method="PUT")
        async with Patience(2):
            assert await both.get("k", collection="c") == {"a": 1}
    assert "stays under an older key" in caplog.text


async def test_renewing_never_undoes_a_write(table: Table) -> None:
    old, both = TableStore(table=table, cipher=ring("1")), TableStore(table=table, cipher=ring("2", "1"))
    for number in range(10):
        await old.put("k", {"n": "old"}, collection="c")
        await asyncio.gather(both.get("k", collection="c"), both.put("k", {"n": number}, collection="c"))
        assert await both.get("k", collection="c") == {"n": number}


async def test_row_that_lost_a_part_reads_as_missing(store: TableStore, table: Table) -> None:
    await store.put("k", {"random": os.urandom(70_000).hex()}, collection="c")
    address = Address.of("c", "k")
    row = await table.read(address.partition, address.row)
    assert row is not None
    assert isinstance(row.pop("V1"), bytes)
    await table.replace(row)
    assert await store.get("k", collection="c") is None
