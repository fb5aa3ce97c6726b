"""Faults between store and service: each call ends in time with the right error, and nothing is half written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import connector
from azure.core.exceptions import AzureError
from key_value.aio.errors import StoreConnectionError

from entra_mcp.azure_transport import IDLE_SECONDS
from entra_mcp.errors import StorageError
from entra_mcp.storage.ledger import Lease, Ledger, Redemption
from entra_mcp.storage.purge import purge
from entra_mcp.storage.store import TableStore
from entra_mcp.storage.table import READ_SECONDS, WRITE_SECONDS, Table
from tests.support.fault_proxy import Fault, FaultProxy, fault_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entra_mcp.storage.encryption import RowCipher

Faulty = tuple[FaultProxy, TableStore, Table]
Call = Callable[[TableStore], Awaitable[Any]]

TRIES = 4
"""Of one request, at most."""

OLD = {"old": True}
NEW = {"random": os.urandom(30_000).hex()}
KEYS = [f"k{number}" for number in range(40)]


def ledger(store: TableStore) -> Ledger:
    return Ledger(table=store._table, cipher=store._cipher)  # pyright: ignore[reportPrivateUsage] - those of the test


READS: dict[str, Call] = {
    "get": lambda store: store.get("k", collection="c"),
}
WRITES: dict[str, Call] = {
    "put": lambda store: store.put("k", NEW, collection="c", ttl=60),
    "delete": lambda store: store.delete("k", collection="c"),
    "acquire": lambda store: ledger(store).acquire("kind", "new", seconds=60, expires_in=60),
}
CALLS = READS | WRITES

SHORT_FAULTS = [Fault.RESET, Fault.LOSE_RESPONSE, Fault.HALF_RESPONSE, Fault.HALF_REQUEST, 429, 500, 503]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", SHORT_FAULTS, ids=str)
async def test_lasting_fault_is_an_error_soon_and_leaves_whole_values(
    faulty: Faulty, fault: Fault | int, call: str
) -> None:
    proxy, store, _ = faulty
    await store.put("k", OLD, collection="c")
    proxy.break_next(fault, times=1000)
    with pytest.raises(StoreConnectionError) as caught:
        await CALLS[call](store)
    assert isinstance(caught.value.__cause__, AzureError)
    assert proxy.faults <= TRIES * len(KEYS)
    proxy.fault = None
    assert await store.get("k", collection="c") in (OLD, NEW, None)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", [Fault.RESET, Fault.LOSE_RESPONSE, Fault.HALF_REQUEST, 500, 503], ids=str)
async def test_passing_fault_is_not_noticed(faulty: Faulty, fault: Fault | int, call: str) -> None:
    proxy, store, _ = faulty
    await store.put("k", OLD, collection="c")
    proxy.break_next(fault, times=1)
    await CALLS[call](store)
    assert proxy.faults == 1


@pytest.mark.parametrize("retry_after", [None, 30])
@pytest.mark.parametrize("call", ["get", "put", "acquire"])
async def test_throttled_call_ends_within_its_deadline_whatever_the_service_asks_for(
    faulty: Faulty, call: str, retry_after: int | None
) -> None:
    proxy, store, _ = faulty
    proxy.retry_after = retry_after
    proxy.break_next(429, times=1000)
    with pytest.raises(StoreConnectionError):
        await CALLS[call](store)
    assert proxy.faults <= TRIES


@pytest.mark.parametrize(
    ("call", "seconds"),
    [("get", READ_SECONDS), ("put", WRITE_SECONDS), ("acquire", WRITE_SECONDS)],
)
async def test_service_that_hangs_is_an_error_at_the_deadline(faulty: Faulty, call: str, seconds: float) -> None:
    proxy, store, _ = faulty
    proxy.break_next(Fault.HANG, times=1000)
    with pytest.raises(StoreConnectionError, match=f"no answer within {seconds:.0f} s") as caught:
        await CALLS[call](store)
    assert isinstance(caught.value.__cause__, TimeoutError)


async def test_slow_insert_is_waited_for_and_not_repeated(faulty: Faulty) -> None:
    proxy, _, table = faulty
    proxy.latency = 4.0
    proxy.requests.clear()
    assert await table.insert({"PartitionKey": "p", "RowKey": "r"}) is not None
    assert proxy.requests == {"POST": 1}


async def test_insert_does_not_wait_as_long_as_the_service_asks_for(faulty: Faulty) -> None:
    """What it writes may be a lease of a few seconds."""
    proxy, _, table = faulty
    proxy.retry_after = 30
    proxy.break_next(503, times=2)
    proxy.requests.clear()
    assert await table.insert({"PartitionKey": "p", "RowKey": "r"}) is not None
    assert proxy.requests == {"POST": 3}


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.LOSE_RESPONSE, Fault.HALF_RESPONSE, 503], ids=str)
async def test_transaction_is_repeated_after_a_passing_fault(faulty: Faulty, fault: Fault | int) -> None:
    proxy, _, table = faulty
    proxy.break_next(fault, times=1)
    proxy.requests.clear()
    assert await table.transact([("upsert", {"PartitionKey": "p", "RowKey": "r"})])
    assert proxy.requests == {"POST": 2}


async def test_store_that_was_idle_longer_than_the_service_waits_works(faulty: Faulty) -> None:
    proxy, store, _ = faulty
    await store.put("k", OLD, collection="c")
    await asyncio.sleep(5.5)
    proxy.requests.clear()
    assert await store.get("k", collection="c") == OLD
    assert isinstance(await CALLS["acquire"](store), Lease)
    assert proxy.total == 2


async def test_connection_is_kept_for_a_minute(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, store, _ = faulty
    idle = 0.0
    monkeypatch.setattr(connector, "monotonic", lambda: idle)
    for seconds, opened in ((0, 1), (IDLE_SECONDS - 1, 1), (IDLE_SECONDS + 1, 2)):
        idle += seconds
        await store.get("k", collection="c")
        assert proxy.connections == opened, seconds


async def test_slow_service_is_waited_for(faulty: Faulty) -> None:
    proxy, store, _ = faulty
    proxy.latency = 0.5
    await store.put("k", OLD, collection="c")
    assert await store.get("k", collection="c") == OLD


@pytest.mark.parametrize("call", CALLS)
async def test_store_recovers_as_soon_as_the_service_does(faulty: Faulty, call: str) -> None:
    proxy, store, _ = faulty
    proxy.break_next(Fault.RESET, times=1000)
    with pytest.raises(StoreConnectionError):
        await CALLS[call](store)
    proxy.fault = None
    await CALLS[call](store)


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_identity_is_an_error_that_names_the_role(faulty: Faulty, status: int) -> None:
    proxy, store, _ = faulty
    proxy.break_next(status, times=1000)
    for call in CALLS.values():
        with pytest.raises(StoreConnectionError, match="Storage Table Data Contributor"):
            await call(store)


async def test_insert_whose_response_was_lost_is_still_the_first(faulty: Faulty) -> None:
    proxy, store, _ = faulty
    for fault in (Fault.LOSE_RESPONSE, Fault.HALF_RESPONSE):
        proxy.break_next(fault, method="POST")
        claim = await ledger(store).acquire("kind", f"k{fault}", seconds=60, expires_in=60)
        assert isinstance(claim, Lease)
        assert await ledger(store).settle(claim, {"mine": True})
        assert isinstance(await ledger(store).acquire("kind", f"k{fault}", seconds=60, expires_in=60), Redemption)


async def test_delete_whose_response_was_lost_never_makes_two_winners(faulty: Faulty) -> None:
    proxy, store, _ = faulty
    await store.put("k", OLD, collection="c")
    proxy.break_next(Fault.LOSE_RESPONSE, method="DELETE")
    assert sum([await store.delete("k", collection="c"), await store.delete("k", collection="c")]) <= 1


async def test_purge_through_faults_is_an_error_and_the_next_one_finishes(faulty: Faulty) -> None:
    proxy, store, table = faulty
    await store.put_many(KEYS, [OLD] * 40, collection="c", ttl=0.001)
    proxy.break_next(Fault.RESET, times=1000, method="POST")
    with pytest.raises(StorageError):
        await purge(table, budget_seconds=60)
    proxy.fault = None
    assert (await purge(table, budget_seconds=60)).finished
    assert not [page async for page in table.query("PartitionKey ge ''", select=("RowKey",)) if page]


@pytest.mark.parametrize("call", CALLS)
async def test_missing_table_is_an_error_not_a_miss(azurite: str, cipher: RowCipher, call: str) -> None:
    async with Table.from_connection_string(azurite, name="NeverMade") as table:
        with pytest.raises(StoreConnectionError, match="does not exist"):
            await CALLS[call](TableStore(table=table, cipher=cipher))


@pytest.fixture
async def unreachable(cipher: RowCipher) -> AsyncIterator[TableStore]:
    connection = "AccountName=account;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:9/account"
    async with Table.from_connection_string(connection, name="Unreachable") as table:
        yield TableStore(table=table, cipher=cipher)


@pytest.mark.parametrize("call", CALLS)
async def test_unreachable_service_is_an_error_soon(unreachable: TableStore, call: str) -> None:
    with pytest.raises(StoreConnectionError):
        await CALLS[call](unreachable)


async def test_creation_that_failed_may_be_tried_again(azurite: str) -> None:
    async with (
        fault_proxy(azurite) as (proxy, connection_string),
        Table.from_connection_string(connection_string, name=f"T{os.urandom(8).hex()}") as table,
    ):
        proxy.break_next(Fault.RESET, times=1000)
        with pytest.raises(StorageError):
            await table.create()
        proxy.fault = None
        await table.create()
        await table.check()
