"""Waits for the ends of tasks that were cancelled, also of those that ignore it."""

from __future__ import annotations

import asyncio
from typing import Any

from anyio import CancelScope

CANCEL_SECONDS = 5.0
"""How long a task may take to end that is cancelled."""


async def ended(*tasks: asyncio.Task[Any]) -> bool:
    """Waits for the ends of the tasks; returns False if one of them goes on."""
    for task in tasks:
        leave(task)
    # A cancelled scope of anyio would end the wait at once.
    with CancelScope(shield=True):
        await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
    return all(task.done() for task in tasks)


def leave(task: asyncio.Task[Any]) -> None:
    """Leaves the task to itself: asyncio logs what it raises unless somebody looks at it."""
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
