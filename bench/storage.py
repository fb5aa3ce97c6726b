"""This project's store beside py-key-value's, on one Azurite: time, requests and size of each operation.

The baseline is what FastMCP's guide leads to: py-key-value's `AzureTablesStore` within its `FernetEncryptionWrapper`.
`MemoryStore` shows what the time would be without a service. Values are JSON like token sets: random text, which does
not compress, that is there twice. What the baseline refuses is measured without it.
"""

from __future__ import annotations

import secrets
import time
from contextlib import asynccontextmanager
from statistics import median
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet
from key_value.aio.stores.azure_tables import AzureTablesStore
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.wrappers.encryption import FernetEncryptionWrapper

from bench.contestants import OURS, Session, turns
from entra_mcp.storage.rows import Address
from entra_mcp.storage.table import Table
from tests.support.contenders import open_store
from tests.support.fault_proxy import fault_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from key_value.aio.protocols import AsyncKeyValue

    type Value = dict[str, Any]

SERVERS = ()
SIZES = {"1 KB": 1_000, "8 KB": 8_000, "60 KB": 60_000}
BASELINE = "AzureTablesStore + Fernet"
MEMORY = "MemoryStore"
COLLECTION = "mcp-upstream-tokens"
LATENCY_MS = 5
REPEATED = 20
"""How often each operation in a round."""

OPERATIONS: dict[str, Callable[[AsyncKeyValue, str, Value], Awaitable[object]]] = {
    "put": lambda store, key, value: store.put(key, value, collection=COLLECTION, ttl=3600),
    "get": lambda store, key, _: store.get(key, collection=COLLECTION),
    "delete": lambda store, key, _: store.delete(key, collection=COLLECTION),
}


async def measure(session: Session) -> None:
    """Adds milliseconds and requests of each operation, and bytes of each row."""
    async with (
        fault_proxy(session.storage) as (proxy, through),
        _stores(session.storage) as near,
        _stores(through) as far,
        Table.from_connection_string(session.storage, name="Ours") as ours,
        Table.from_connection_string(session.storage, name="Theirs") as theirs,
    ):
        for label, size in SIZES.items():
            value = _value_of(size)
            taking = [name for name in near if await _takes(near[name], value)]
            for name in taking:
                for operation, work in OPERATIONS.items():
                    proxy.requests.clear()
                    await work(far[name], "key", value)
                    if name != MEMORY:  # which sends none
                        session.part.add(f"`{operation}` of {label}, requests", name, proxy.total, "")
            for place, stores, latency in (("", near, 0), (f", service {LATENCY_MS} ms away", far, LATENCY_MS)):
                proxy.latency = latency / 1000
                for number, name in turns(taking, session.options.rounds):
                    session.say(f"{label}{place}: round {number} of {session.options.rounds}, {name}")
                    for operation in OPERATIONS:
                        milliseconds = await _timed(operation, stores[name], value)
                        session.part.add(f"`{operation}` of {label}{place}", name, milliseconds, "ms")
            proxy.latency = 0
            address = Address.of(COLLECTION, label)
            for name, table, partition, row in (
                (OURS, ours, address.partition, address.row),
                (BASELINE, theirs, COLLECTION, label),
            ):
                if name in taking:
                    await near[name].put(label, value, collection=COLLECTION)
                    session.part.add(f"row of {label}", name, _bytes(await table.read(partition, row)), "bytes")


async def _timed(operation: str, store: AsyncKeyValue, value: Value) -> float:
    """The median milliseconds of an operation."""
    times: list[float] = []
    for each in range(REPEATED):
        began = time.perf_counter()
        await OPERATIONS[operation](store, f"key{each}", value)
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


@asynccontextmanager
async def _stores(connection_string: str) -> AsyncGenerator[dict[str, AsyncKeyValue]]:
    """Yields the stores by their names, each used once."""
    async with (
        AzureTablesStore(connection_string=connection_string, table_name="Theirs") as theirs,
        Table.from_connection_string(connection_string, name="Ours") as table,
    ):
        await table.create()
        stores: dict[str, AsyncKeyValue] = {
            BASELINE: FernetEncryptionWrapper(theirs, fernet=Fernet(Fernet.generate_key())),
            MEMORY: MemoryStore(),
            OURS: open_store(table),
        }
        for store in stores.values():
            await store.get("warm up", collection=COLLECTION)
        yield stores


def _value_of(size: int) -> Value:
    """A value whose JSON has about that many bytes."""
    token = secrets.token_urlsafe(size)[: (size - 80) // 2]
    return {"access_token": token, "expires_at": 1.5, "raw_token_data": {"access_token": token}}


async def _takes(store: AsyncKeyValue, value: Value) -> bool:
    try:
        await store.put("key", value, collection=COLLECTION)
    except Exception:  # noqa: BLE001 - whatever another store raises is its answer
        return False
    return True


def _bytes(row: dict[str, Any] | None) -> int:
    """How many bytes the values of a row take; the baseline has its in one property of text."""
    return sum(len(content) for name, content in (row or {}).items() if name.startswith("V") and content)
