"""Sends a message again for each task that nobody takes up: its message was never sent, or its run has died.

It needs neither the vault nor the app: the rows say when to look, and hold the message.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from azure.data.tables import EdmType, EntityProperty

from entra_mcp.tasks.limits import Limits
from entra_mcp.tasks.rows import due

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.storage.table import Table
    from entra_mcp.tasks.queue import Sender

MAX_DOUBLINGS = 5
"""A task that waits in a long queue gets a message of its own every quarter of an hour at most."""


async def sweep(
    table: Table, queue: Sender, *, limits: Limits | None = None, clock: Callable[[], float] = time.time
) -> int:
    """Sends what is due; returns how many messages that were.

    Raises:
        StorageError: the table or the queue is out of reach. The next sweep goes on.
    """
    pause = (limits or Limits()).unsent
    sent = 0
    async for entity in due(table, now=clock()):
        await queue.send(entity["Q"])
        sent += 1
        times = int(entity.get("N", 0)) + 1
        look = int((clock() + pause * 2 ** min(times, MAX_DOUBLINGS)) * 1000)
        changed = {**entity, "S": EntityProperty(look, EdmType.INT64), "N": times}
        # Whoever changed the row meanwhile has said when to look.
        await table.replace_unchanged(changed, etag=entity.metadata["etag"])
    return sent
