"""What tests of background tasks wait for, and start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from entra_mcp.tasks.limits import Limits
from tests.support.background.components import work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entra_mcp.tasks.rows import Task
    from tests.support.background.instance import Background


async def until(true: Callable[[], Awaitable[object]]) -> None:
    """Waits until it is true."""
    while not await true():  # noqa: ASYNC110 - what is waited for is in the table
        await asyncio.sleep(0.01)


async def until_row(tasks: Background, task_id: str, true: Callable[[Task], bool]) -> Task:
    """Waits until it is true of the row of a task; returns what it has then."""
    while not true(found := await tasks.task(task_id)):  # noqa: ASYNC110 - it is in the table
        await asyncio.sleep(0.01)
    return found


async def die(tasks: Background, run: asyncio.Task[int]) -> None:
    """Ends a run as the death of its process would, and lets its lease go by."""
    run.cancel()
    await asyncio.wait((run,))
    tasks.clock.advance(Limits().lease + 1)


async def running(tasks: Background, name: str, *, steps: int = 1) -> tuple[str, asyncio.Task[int]]:
    """Starts a task whose tool waits for its gate; returns its id, and the run."""
    work.hold(name)
    task_id = (await tasks.start("work", name=name, steps=steps))["taskId"]
    run = asyncio.create_task(tasks.deliver())
    while not any(each.startswith(name) for each in work.starts):  # noqa: ASYNC110 - the tool runs on this loop
        await asyncio.sleep(0.005)
    return task_id, run
