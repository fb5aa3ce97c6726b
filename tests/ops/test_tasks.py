"""`tasks`: what the rows of background tasks show to somebody who cannot open them."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING
from uuid import uuid4

from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.owners import OwnerMarks
from entra_mcp.storage.table import Table
from entra_mcp.tasks.rows import Task, TaskRows
from ops.cli import run
from tests.support.clock import Clock
from tests.support.instances import RING

if TYPE_CHECKING:
    from pathlib import Path

    from azure.core.credentials import AccessToken

    from entra_mcp.tasks.wire import Status

NOW = 1_790_000_000.0


def tasks(azurite: str, table: str, root: Path) -> tuple[int, str]:
    out = io.StringIO()
    code = run(
        ["tasks"],
        variables={"AzureWebJobsStorage": azurite, "MCP_TABLE_NAME": table},
        credential=lambda _: NoCredential(),
        out=out,
        root=root,
    )
    return code, out.getvalue()


class NoCredential:
    """A connection string needs none."""

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        raise AssertionError


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


async def test_unfinished_tasks_are_listed_and_the_others_counted(azurite: str, tmp_path: Path) -> None:
    name = f"T{uuid4().hex}"
    await fill(azurite, name, "completed", "working", "completed", "input_required", "failed")
    code, text = await asyncio.to_thread(tasks, azurite, name, tmp_path)
    assert code == 0, text
    assert "1 working, 1 input_required, 2 completed, 1 failed" in text
    assert "working                since 2026-09-21" in text
    assert "1 runs" in text
    assert "secret_tool" not in text


async def test_table_without_tasks_says_so(azurite: str, tmp_path: Path) -> None:
    name = f"T{uuid4().hex}"
    await fill(azurite, name)
    code, text = await asyncio.to_thread(tasks, azurite, name, tmp_path)
    assert (code, "there are none" in text) == (0, True)


def test_table_that_is_not_there_is_a_failure_with_a_remedy(azurite: str, tmp_path: Path) -> None:
    code, text = tasks(azurite, f"T{uuid4().hex}", tmp_path)
    assert code == 1
    assert "Storage Table Data Reader" in text
