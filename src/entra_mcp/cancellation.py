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
        task.add_done_callback(_look)
    # A cancelled scope of anyio would end the wait at once.
    with CancelScope(shield=True):
        await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
    return all(task.done() for task in tasks)


def _look(task: asyncio.Task[Any]) -> None:
    """Looks at what a task raised: asyncio logs what nobody looked at."""
    if not task.cancelled():
        task.exception()
