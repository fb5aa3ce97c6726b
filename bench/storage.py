"""This project's store against py-key-value's, in one run on one Azurite: time, requests and size of each operation.

The baseline is what FastMCP's guide leads to: py-key-value's `AzureTablesStore` within its `FernetEncryptionWrapper`.
`MemoryStore` tells what the time would be without a service. Values are JSON like token sets: random text, which does
not compress, that is there twice. Where the baseline refuses a value the table says so.

    PYTHONPATH=src python -m bench.storage [--rounds 200] [--latency-ms 5]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet
from key_value.aio.stores.azure_tables import AzureTablesStore
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.wrappers.encryption import FernetEncryptionWrapper

from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.rows import Address
from entra_mcp.storage.store import TableStore
from entra_mcp.storage.table import Table
from entra_mcp.vault.keys import KeyRing, RootKey
from tests.support.azurite import running_azurite
from tests.support.fault_proxy import FaultProxy, fault_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from key_value.aio.protocols import AsyncKeyValue

    Operation = Callable[[int], Coroutine[Any, Any, object]]

SIZES = {"1 KB": 1_000, "8 KB": 8_000, "60 KB": 60_000}
BASELINE = "AzureTablesStore + Fernet"
OURS = "TableStore"
MEMORY = "MemoryStore"
COLLECTION = "mcp-upstream-tokens"


def value_of(size: int) -> dict[str, Any]:
    """Returns a value whose JSON has about that many bytes."""
    token = secrets.token_urlsafe(size)[: (size - 80) // 2]
    return {"access_token": token, "expires_at": 1.5, "raw_token_data": {"access_token": token}}


def operations_of(store: AsyncKeyValue, value: dict[str, Any]) -> dict[str, Operation]:
    """Returns what is measured, in the order in which it has to run."""
    return {
        "put": lambda number: store.put(f"key{number}", value, collection=COLLECTION, ttl=3600),
        "get": lambda number: store.get(f"key{number}", collection=COLLECTION),
        "delete": lambda number: store.delete(f"key{number}", collection=COLLECTION),
    }


async def measure(connection_string: str, *, rounds: int, latency: float) -> None:
    """Prints the tables; with a latency, in seconds, the services are reached through proxies that add it."""
    async with AsyncExitStack() as stack:
        proxies: dict[str, FaultProxy] = {}
        through: dict[str, str] = {}
        for name in (BASELINE, OURS):
            proxies[name], through[name] = await stack.enter_async_context(fault_proxy(connection_string))
        table = await stack.enter_async_context(Table.from_connection_string(connection_string, name="Ours"))
        counted = await stack.enter_async_context(Table.from_connection_string(through[OURS], name="Ours"))
        cipher = RowCipher(KeyRing((RootKey(version="1", material=os.urandom(32)),)))
        fernet = Fernet(Fernet.generate_key())
        theirs, theirs_counted = [
            await stack.enter_async_context(AzureTablesStore(connection_string=connection, table_name="Theirs"))
            for connection in (connection_string, through[BASELINE])
        ]
        timed: dict[str, AsyncKeyValue] = {
            BASELINE: FernetEncryptionWrapper(theirs, fernet=fernet),
            OURS: TableStore(table=table, cipher=cipher, auto_create=True),
            MEMORY: MemoryStore(),
        }
        counting: dict[str, AsyncKeyValue] = {
            BASELINE: FernetEncryptionWrapper(theirs_counted, fernet=fernet),
            OURS: TableStore(table=counted, cipher=cipher, auto_create=True),
        }
        if latency:
            timed |= counting
            for proxy in proxies.values():
                proxy.latency = latency
        print("| value | operation | store | p50 ms | p99 ms | requests | p50 ratio |")
        print("|---|---|---|---:|---:|---:|---:|")
        for label, size in SIZES.items():
            value = value_of(size)
            costs = {name: await requests_of(store, proxies[name], value) for name, store in counting.items()}
            await compare(label, timed, value, rounds=rounds, costs=costs)
        print("\n| value | JSON bytes | TableStore row | AzureTablesStore + Fernet row | ratio |")
        print("|---|---:|---:|---:|---:|")
        for label, size in SIZES.items():
            await sizes(label, value_of(size), ours=(timed[OURS], table), theirs=(timed[BASELINE], connection_string))


async def requests_of(store: AsyncKeyValue, proxy: FaultProxy, value: dict[str, Any]) -> dict[str, int | None]:
    """Returns the requests of each operation; None where the store refuses the value."""
    costs: dict[str, int | None] = {}
    await store.get("warm up", collection=COLLECTION)
    for name, operation in operations_of(store, value).items():
        proxy.requests.clear()
        was_refused = await refused(operation)
        # What could not be put cannot be compared any further.
        costs[name] = None if was_refused or None in costs.values() else proxy.total
    return costs


async def refused(operation: Operation) -> bool:
    """Does the operation once; returns whether the store or the service refuses the value."""
    try:
        await operation(0)
    except Exception as error:  # noqa: BLE001 - whatever another store raises is its answer
        print(f"<!-- {type(error).__name__}: {str(error).splitlines()[0][:90]} -->")
        return True
    return False


async def compare(
    label: str,
    stores: dict[str, AsyncKeyValue],
    value: dict[str, Any],
    *,
    rounds: int,
    costs: dict[str, dict[str, int | None]],
) -> None:
    """Prints the rows of one size of values; the stores take turns, round by round."""
    operations = {name: operations_of(store, value) for name, store in stores.items()}
    for operation in operations[OURS]:
        times: dict[str, list[float]] = {
            name: [] for name in stores if name not in costs or costs[name][operation] is not None
        }
        for number in range(rounds):
            for name, measured in times.items():
                started = time.perf_counter()
                await operations[name][operation](number)
                measured.append((time.perf_counter() - started) * 1000)
        for name in stores:
            if name not in times:
                print(f"| {label} | {operation} | {name} | refused | | | |")
                continue
            median, high = statistics.median(times[name]), sorted(times[name])[int(len(times[name]) * 0.99)]
            ratio = f"{median / statistics.median(times[BASELINE]):.2f}" if BASELINE in times else ""
            requests = costs[name][operation] if name in costs else 0
            print(f"| {label} | {operation} | {name} | {median:.2f} | {high:.2f} | {requests} | {ratio} |")


async def sizes(
    label: str, value: dict[str, Any], *, ours: tuple[AsyncKeyValue, Table], theirs: tuple[AsyncKeyValue, str]
) -> None:
    """Prints how many bytes the properties of one row take."""
    store, table = ours
    await store.put("size", value, collection="sizes")
    address = Address.of("sizes", "size")
    row = await table.read(address.partition, address.row)
    own = sum(len(content) for content in row.values() if isinstance(content, bytes)) if row else 0
    encrypted, connection_string = theirs
    plain = len(json.dumps(value))
    if await refused(lambda _: encrypted.put("size", value, collection="sizes")):
        print(f"| {label} | {plain:,} | {own:,} | refused | |")
        return
    async with Table.from_connection_string(connection_string, name="Theirs") as other:
        found = await other.read("sizes", "size")
    size = len(found["Value"]) if found else 0
    print(f"| {label} | {plain:,} | {own:,} | {size:,} | {own / size:.2f} |")


def main() -> None:
    """Reads the arguments and runs."""
    parser = argparse.ArgumentParser(prog="python -m bench.storage", description="Compares stores on Azurite.")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to each request, as a network would")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_azurite(Path(folder) / "data") as azurite:
        asyncio.run(measure(azurite.connection_string, rounds=options.rounds, latency=options.latency_ms / 1000))


if __name__ == "__main__":
    main()
