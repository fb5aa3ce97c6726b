"""The tool by which a client that knows no tasks gets the result of a call that went on as one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

from fastmcp.exceptions import ToolError
from fastmcp.tools import ToolResult
from fastmcp.tools.base import Tool
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import Field

from entra_mcp.request import recording_failures

if TYPE_CHECKING:
    from entra_mcp.tasks.parts import TaskParts
    from entra_mcp.tasks.rows import Task

TASK_RESULT = "task_result"

LOOK_SECONDS = 2.0

ASKS = "The task waits for an answer that this client cannot give."


def task_result_tool(parts: TaskParts) -> Tool:
    """Returns the tool, which waits a while for a task that has not ended."""

    async def task_result(
        task_id: Annotated[str, Field(max_length=200, description="As the call said that goes on in the background.")],
    ) -> ToolResult:
        """Get the result of a call that goes on in the background. Waits a while; call it again until it has it."""
        with recording_failures():
            task = await _own(parts, task_id)
            for _ in range(parts.limits.looks):
                if task.status != "working":
                    break
                await asyncio.sleep(LOOK_SECONDS)
                task = await _own(parts, task_id)
            result = await parts.rows.result(task) if task.status == "completed" else None
        if result is not None:
            called = CallToolResult.model_validate(result)
            return ToolResult(called.content, called.structured_content, called.meta, called.is_error)
        if task.is_final:
            raise ToolError(task.error["message"] if task.error else "The task was cancelled.")
        if task.status == "input_required":
            raise ToolError(ASKS)
        return ToolResult(content=f"The task goes on: {task.message or 'no progress yet'}. Call {TASK_RESULT} again.")

    return Tool.from_function(
        task_result,
        name=TASK_RESULT,
        title="Result of a background task",
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
        output_schema=None,
    )


async def _own(parts: TaskParts, task_id: str) -> Task:
    """Returns the caller's task; raises ToolError when the caller has no such task."""
    stored = await parts.own(task_id)
    if stored is None:
        raise ToolError("There is no such task.")
    return stored.task
