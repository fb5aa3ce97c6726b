"""Puts the tasks of a server together, where a tool is declared for them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from entra_mcp.identity import azure_credential
from entra_mcp.tasks.callers import Callers
from entra_mcp.tasks.extension import TasksExtension
from entra_mcp.tasks.queue import open_queue
from entra_mcp.tasks.rows import TaskRows
from entra_mcp.tasks.runner import Runner

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastmcp import FastMCP
    from fastmcp.server.auth import AuthProvider

    from entra_mcp.settings import Settings
    from entra_mcp.storage.encryption import RowCipher
    from entra_mcp.storage.owners import OwnerMarks
    from entra_mcp.storage.table import Table
    from entra_mcp.tasks.queue import TaskQueue


@asynccontextmanager
async def open_tasks(
    server: FastMCP,
    settings: Settings,
    *,
    table: Table,
    cipher: RowCipher,
    marks: OwnerMarks,
    auth: AuthProvider | None,
) -> AsyncGenerator[Runner]:
    """Adds the tasks extension to the server, and yields what runs the tasks.

    Raises:
        StorageError: the queue cannot be made, or no setting says where it is.
    """
    rows, callers = TaskRows(table=table, cipher=cipher, marks=marks), Callers(auth)
    async with task_queue(settings) as queue:
        if settings.create_table:
            await queue.create()
        server.add_extension(TasksExtension(rows=rows, queue=queue, callers=callers))
        yield Runner(server, rows=rows, queue=queue, callers=callers)


@asynccontextmanager
async def task_queue(settings: Settings) -> AsyncGenerator[TaskQueue]:
    """Yields the queue of the settings."""
    connection = settings.storage_connection_string
    async with AsyncExitStack() as stack:
        credential = None
        if settings.queue_service_uri is not None:
            credential = await stack.enter_async_context(
                azure_credential(settings, client_id=settings.storage_client_id)
            )
        opening = open_queue(
            connection_string=connection.get_secret_value() if connection else None,
            endpoint=settings.queue_service_uri,
            credential=credential,
        )
        yield await stack.enter_async_context(opening)
