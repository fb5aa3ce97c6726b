"""Many rows in few requests: transactions where the partition allows, a bounded number of requests at a time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from entra_mcp.storage.rows import Address
    from entra_mcp.storage.table import Operation, Table

TRANSACTION_ROWS = 100
TRANSACTION_BYTES = 2_500_000
"""The service takes 4 MiB, in which values are base64."""

REQUESTS_AT_ONCE = 16


async def concurrently[A, B](function: Callable[[A], Awaitable[B]], arguments: Iterable[A]) -> list[B]:
    """Calls the function with each argument, `REQUESTS_AT_ONCE` at a time; returns the results in order.

    The first error cancels what has not ended, and is raised.
    """
    gate = asyncio.Semaphore(REQUESTS_AT_ONCE)

    async def call(argument: A) -> B:
        async with gate:
            return await function(argument)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call(argument)) for argument in arguments]
    except ExceptionGroup as failures:
        first = failures.exceptions[0]
        raise first from first.__cause__
    return [task.result() for task in tasks]


async def replace_rows(table: Table, entities: Iterable[Mapping[str, Any]]) -> None:
    """Writes the rows whole; each row is either written or not, and an error may leave some of them written."""

    async def write(batch: Sequence[Mapping[str, Any]]) -> None:
        operations: list[Operation] = [("upsert", entity, {"mode": "replace"}) for entity in batch]
        if len(batch) == 1 or not await table.transact(operations):
            for entity in batch:
                await table.replace(entity)

    await concurrently(write, batches(entities, partition=lambda entity: entity["PartitionKey"], size=_size))


async def delete_rows(table: Table, addresses: Iterable[Address]) -> int:
    """Deletes the rows; returns how many of them were there."""

    async def delete(batch: Sequence[Address]) -> int:
        operations: list[Operation] = [
            ("delete", {"PartitionKey": address.partition, "RowKey": address.row}) for address in batch
        ]
        if len(batch) > 1 and await table.transact(operations):
            return len(batch)
        # One missing row refuses the whole transaction.
        return sum([await table.delete(address.partition, address.row) for address in batch])

    return sum(await concurrently(delete, batches(addresses, partition=lambda address: address.partition)))


def batches[T](
    rows: Iterable[T], *, partition: Callable[[T], str], size: Callable[[T], int] = lambda _: 0
) -> list[list[T]]:
    """Returns the rows in groups that fit one transaction each: of one partition, few enough and small enough."""
    groups: defaultdict[str, list[list[T]]] = defaultdict(list)
    sizes: dict[str, int] = {}
    for row in rows:
        name = partition(row)
        sizes[name] = sizes.get(name, 0) + size(row)
        if not groups[name] or len(groups[name][-1]) == TRANSACTION_ROWS or sizes[name] > TRANSACTION_BYTES:
            groups[name].append([])
            sizes[name] = size(row)
        groups[name][-1].append(row)
    return [batch for group in groups.values() for batch in group]


def _size(entity: Mapping[str, Any]) -> int:
    return sum(len(value) for value in entity.values() if isinstance(value, bytes))
