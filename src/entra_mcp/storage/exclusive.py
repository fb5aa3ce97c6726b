"""Exactly one winner: a row that only one of many writers may make.

Deleting tells nothing reliable (a lost response is repeated, and then finds no row), so what must happen once is an
insert, which the service refuses when the row exists.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from key_value.aio.errors import CorruptedDataError

from entra_mcp.storage.rows import expiry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entra_mcp.storage.table import Entity, Table

ROUNDS = 4
"""How often to look again when the row changes between two requests; each time somebody else had it."""


async def insert_exclusively(table: Table, entity: Mapping[str, Any], *, same: Sequence[str]) -> bool:
    """Writes the row unless there is one that has not expired; returns whether the row is now this writer's.

    `same` names the properties that hold what no other writer knows (a nonce, a token): by them an insert whose
    response was lost is told from another's.
    """
    for _ in range(ROUNDS):
        if await table.insert(entity) is not None:
            return True
        found = await table.read(entity["PartitionKey"], entity["RowKey"])
        if found is None:
            continue
        if not _expired(found):
            return all(found.get(name) == entity[name] for name in same)
        if await table.replace_unchanged(entity, etag=found.metadata["etag"]) is not None:
            return True
    return False


def _expired(entity: Entity) -> bool:
    try:
        moment = expiry(entity)
    except CorruptedDataError:
        return False
    return moment is not None and moment <= time.time() * 1000
