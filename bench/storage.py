"""This project's store beside py-key-value's, on one Azurite: time, requests and size of each operation.

The baseline is what FastMCP's guide leads to: py-key-value's `AzureTablesStore` within its `FernetEncryptionWrapper`.
`MemoryStore` shows what the time would be without a service. Values are JSON like token sets: random text, which does
not compress, that is there twice. What the baseline refuses is measured without it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from contextlib import AsyncExitStack
from statistics import median
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet
from key_value.aio.stores.azure_tables import AzureTablesStore
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.wrappers.encryption import FernetEncryptionWrapper

from bench.contestants import OURS, turns
from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.rows import Address
from entra_mcp.storage.store import TableStore
from entra_mcp.storage.table import Table
from entra_mcp.vault.keys import KeyRing, RootKey
from tests.support.azurite import running_azurite
from tests.support.fault_proxy import fault_proxy

if TYPE_CHECKING:
    from key_value.aio.protocols import AsyncKeyValue

    from bench.session import Session

SIZES = {"1 KB": 1_000, "8 KB": 8_000, "60 KB": 60_000}
BASELINE = "AzureTablesStore + Fernet"
MEMORY = "MemoryStore"
COLLECTION = "mcp-upstream-tokens"
LATENCY_MS = 5
OPERATIONS = 20
"""Of each kind in a round."""


def measure(session: Session) -> None:
    """Adds milliseconds and requests of each operation, and bytes of each row."""
    with running_azurite(session.folder / "azurite") as azurite:
        asyncio.run(_measure(session, azurite.connection_string))


async def _measure(session: Session, connection_string: str) -> None:
    async with AsyncExitStack() as stack:
        proxy, through = await stack.enter_async_context(fault_proxy(connection_string))
        near = await _stores(stack, connection_string)
        far = await _stores(stack, through)
        table = await stack.enter_async_context(Table.from_connection_string(connection_string, name="Ours"))
        theirs = await stack.enter_async_context(Table.from_connection_string(connection_string, name="Theirs"))
        for label, size in SIZES.items():
            value = _value_of(size)
            taking = [name for name in near if await _takes(near[name], value)]
            for name in taking:
                for operation in ("put", "get", "delete"):
                    proxy.requests.clear()
                    await _do(far[name], operation, 0, value)
                    if name != MEMORY:  # which sends none
                        session.part.add(f"`{operation}` of {label}, requests", name, proxy.total, "")
            for place, stores, latency in (("", near, 0), (f", service {LATENCY_MS} ms away", far, LATENCY_MS)):
                proxy.latency = latency / 1000
                for number, name in turns(taking, session.options.rounds):
                    session.say(f"{label}{place}: round {number} of {session.options.rounds}, {name}")
                    for operation, milliseconds in (await _timed(stores[name], value)).items():
                        session.part.add(f"`{operation}` of {label}{place}", name, milliseconds, "ms")
            proxy.latency = 0
            ours = Address.of(COLLECTION, label)
            for name, other, partition, row in (
                (OURS, table, ours.partition, ours.row),
                (BASELINE, theirs, COLLECTION, label),
            ):
                if name in taking:
                    await near[name].put(label, value, collection=COLLECTION)
                    session.part.add(f"row of {label}", name, _bytes(await other.read(partition, row)), "bytes")


async def _timed(store: AsyncKeyValue, value: dict[str, Any]) -> dict[str, float]:
    """The median milliseconds of each operation."""
    times: dict[str, list[float]] = {"put": [], "get": [], "delete": []}
    for operation, taken in times.items():
        for key in range(OPERATIONS):
            began = time.perf_counter()
            await _do(store, operation, key, value)
            taken.append((time.perf_counter() - began) * 1000)
    return {operation: median(taken) for operation, taken in times.items()}


async def _stores(stack: AsyncExitStack, connection_string: str) -> dict[str, AsyncKeyValue]:
    theirs = await stack.enter_async_context(AzureTablesStore(connection_string=connection_string, table_name="Theirs"))
    table = await stack.enter_async_context(Table.from_connection_string(connection_string, name="Ours"))
    await table.create()
    cipher = RowCipher(KeyRing((RootKey(version="1", material=os.urandom(32)),)))
    stores: dict[str, AsyncKeyValue] = {
        BASELINE: FernetEncryptionWrapper(theirs, fernet=Fernet(Fernet.generate_key())),
        MEMORY: MemoryStore(),
        OURS: TableStore(table=table, cipher=cipher),
    }
    for store in stores.values():
        await store.get("warm up", collection=COLLECTION)
    return stores


def _value_of(size: int) -> dict[str, Any]:
    """A value whose JSON has about that many bytes."""
    token = secrets.token_urlsafe(size)[: (size - 80) // 2]
    return {"access_token": token, "expires_at": 1.5, "raw_token_data": {"access_token": token}}


async def _takes(store: AsyncKeyValue, value: dict[str, Any]) -> bool:
    try:
        await _do(store, "put", 0, value)
    except Exception:  # noqa: BLE001 - whatever another store raises is its answer
        return False
    return True


async def _do(store: AsyncKeyValue, operation: str, key: int, value: dict[str, Any]) -> None:
    match operation:
        case "put":
            await store.put(f"key{key}", value, collection=COLLECTION, ttl=3600)
        case "get":
            await store.get(f"key{key}", collection=COLLECTION)
        case _:
            await store.delete(f"key{key}", collection=COLLECTION)


def _bytes(row: dict[str, Any] | None) -> int:
    """How many bytes the values of a row take; the baseline has its in one property of text."""
    return sum(len(content) for name, content in (row or {}).items() if name.startswith("V") and content)
