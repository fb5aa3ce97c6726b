"""Puts the tasks of a server together, where a tool is declared for them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from entra_mcp.identity import azure_credential
from entra_mcp.tasks.callers import Callers
from entra_mcp.tasks.companion import task_result_tool
from entra_mcp.tasks.extension import TasksExtension
from entra_mcp.tasks.parts import TaskParts
from entra_mcp.tasks.queue import TaskQueue
from entra_mcp.tasks.rows import TaskRows
from entra_mcp.tasks.runner import Runner

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Container

    from fastmcp import FastMCP
    from fastmcp.server.auth import AuthProvider

    from entra_mcp.settings import Settings
    from entra_mcp.storage.encryption import RowCipher
    from entra_mcp.storage.owners import OwnerMarks
    from entra_mcp.storage.table import Table


@asynccontextmanager
async def open_tasks(
    server: FastMCP,
    settings: Settings,
    *,
    tools: Container[str],
    table: Table,
    cipher: RowCipher,
    marks: OwnerMarks,
    auth: AuthProvider | None,
) -> AsyncGenerator[Runner]:
    """Lets calls of the tools go on as tasks, and yields what runs them.

    Raises:
        StorageError: the queue cannot be made, or no setting says where it is.
    """
    rows = TaskRows(table=table, cipher=cipher, marks=marks)
    async with task_queue(settings) as queue:
        if settings.create_table:
            await queue.create()
        yield add_tasks(server, TaskParts(rows=rows, queue=queue, callers=Callers(auth)), tools=tools)


def add_tasks(server: FastMCP, parts: TaskParts, *, tools: Container[str]) -> Runner:
    """Adds the tasks extension to the server, and a tool for clients without it; returns what runs the tasks."""
    server.add_extension(TasksExtension(parts, tools=tools))
    server.add_tool(task_result_tool(parts))
    return Runner(server, parts)


@asynccontextmanager
async def task_queue(settings: Settings) -> AsyncGenerator[TaskQueue]:
    """Yields the queue of the settings, which connects when it is first used.

    Raises:
        StorageError: no setting says where it is.
    """
    async with AsyncExitStack() as stack:
        if (endpoint := settings.queue_service_uri) is not None:
            credential = azure_credential(settings, client_id=settings.storage_client_id)
            await stack.enter_async_context(credential)
            queue = TaskQueue.from_identity(endpoint, credential=credential)
        else:
            connection = settings.storage_connection_string
            queue = TaskQueue.from_connection_string(connection.get_secret_value() if connection else "")
        yield await stack.enter_async_context(queue)
