"""What writing tasks down, answering for them and running them have in common, and how a server gets all three."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from entra_mcp.tasks.callers import owner_of_request
from entra_mcp.tasks.companion import task_result_tool
from entra_mcp.tasks.extension import TasksExtension
from entra_mcp.tasks.limits import Limits
from entra_mcp.tasks.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Container

    from fastmcp import FastMCP

    from entra_mcp.tasks.callers import Callers
    from entra_mcp.tasks.queue import TaskQueue
    from entra_mcp.tasks.rows import Stored, Task, TaskRows


@dataclass(slots=True, kw_only=True)
class TaskParts:
    """Where tasks are, who may ask for them, and how long everything takes."""

    rows: TaskRows
    queue: TaskQueue
    callers: Callers
    limits: Limits = field(default_factory=Limits)

    async def send(self, task: Task, *, delay: float = 0.0) -> None:
        """Sends a message about the task, which nobody sees for `delay` seconds.

        Raises:
            StorageError: the queue did not take it, or did not answer.
        """
        await self.queue.send(self.rows.message(task), delay=delay)

    async def own(self, task_id: str) -> Stored | None:
        """Returns a task of who calls; None when they have no such task.

        Raises:
            StorageError: the table is out of reach.
        """
        stored = await self.rows.read(task_id)
        return stored if stored is not None and stored.task.owner == owner_of_request() else None


def add_tasks(server: FastMCP, parts: TaskParts, *, tools: Container[str]) -> Runner:
    """Lets calls of the tools go on as tasks, adds a tool for clients without them, and returns what runs them."""
    server.add_extension(TasksExtension(parts, tools=tools))
    server.add_tool(task_result_tool(parts))
    return Runner(server, parts)
