"""Ends tasks that nobody waits for any more, also those that ignore it."""

from __future__ import annotations

import asyncio
from typing import Any

from anyio import CancelScope

CANCEL_SECONDS = 5.0
"""How long a task may take to end that is cancelled."""


async def end(*tasks: asyncio.Task[Any]) -> bool:
    """Cancels the tasks, each once, and waits for their ends; returns False if one of them goes on."""
    for task in tasks:
        task.cancel()
    # A cancelled scope of anyio would end the wait at once.
    with CancelScope(shield=True):
        await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # asyncio logs one that nobody looked at
    return all(task.done() for task in tasks)
