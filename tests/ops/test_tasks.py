"""`tasks`: what the rows of background tasks show to somebody who cannot open them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.owners import OwnerMarks
from entra_mcp.storage.table import Table
from entra_mcp.tasks.rows import Task, TaskRows
from tests.support.clock import Clock
from tests.support.instances import RING

if TYPE_CHECKING:
    from entra_mcp.tasks.wire import Status
    from tests.ops.conftest import Ops, Outcome

NOW = 1_790_000_000.0


def tasks(ops: Ops, azurite: str, table: str) -> Outcome:
    return ops("tasks", AzureWebJobsStorage=azurite, MCP_TABLE_NAME=table)


async def fill(azurite: str, name: str, *statuses: Status) -> None:
    async with Table.from_connection_string(azurite, name=name) as table:
        await table.create()
        rows = TaskRows(table=table, cipher=RowCipher(RING), marks=OwnerMarks(RING), clock=Clock(NOW))
        for number, status in enumerate(statuses):
            task = Task(
                id=f"task-{number}",
                tool="secret_tool",
                version=None,
                arguments={},
                owner="tenant/person",
                caller={},
                created=NOW,
                expires=NOW + 3600,
                poll_ms=1000,
                status=status,
                runs=number,
            )
            await rows.create(task)


async def test_unfinished_tasks_are_listed_and_the_others_counted(ops: Ops, azurite: str) -> None:
    name = f"T{uuid4().hex}"
    await fill(azurite, name, "completed", "working", "completed", "input_required", "failed")
    outcome = await asyncio.to_thread(tasks, ops, azurite, name)
    assert outcome.code == 0, outcome.text
    assert "1 working, 1 input_required, 2 completed, 1 failed" in outcome.text
    assert "working                since 2026-09-21" in outcome.text
    assert "1 runs" in outcome.text
    assert "secret_tool" not in outcome.text


async def test_table_without_tasks_says_so(ops: Ops, azurite: str) -> None:
    name = f"T{uuid4().hex}"
    await fill(azurite, name)
    outcome = await asyncio.to_thread(tasks, ops, azurite, name)
    assert (outcome.code, "there are none" in outcome.text) == (0, True)
    assert f"{name} at http://127.0.0.1:" in outcome.text


def test_table_that_is_not_there_is_a_failure_with_a_remedy(ops: Ops, azurite: str) -> None:
    outcome = tasks(ops, azurite, f"T{uuid4().hex}")
    assert outcome.code == 1
    assert "Storage Table Data Reader" in outcome.text
