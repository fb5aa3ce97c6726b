"""`python -m ops tasks`: how many background tasks there are, and which of them have not ended.

Threat: whoever runs this sees how many tasks there are and when they changed, and neither whose they are nor what they
do: all that is sealed, and this has no key.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import NamedTuple

from ops.command import Command, Context
from ops.environment import CONNECTION_STRING, STORAGE_ACCOUNT, TABLE_NAME, TENANT
from ops.errors import OpsError

STATUSES = ("working", "input_required", "completed", "failed", "cancelled")
OPEN = STATUSES[:2]
QUIET_SECONDS = 300.0
"""A task that works, and whose row has not changed for so long, is not running: a run changes it every 5 s."""

MAX_LINES = 50


class Seen(NamedTuple):
    """What the row of a task shows without a key."""

    status: str
    runs: int
    created: float
    changed: float


def run(context: Context) -> int:
    """Lists the tasks that have not ended, and counts the others."""
    tasks = asyncio.run(_read(context))
    if not tasks:
        context.report.ok("tasks", "there are none")
        return 0
    counts = Counter(task.status for task in tasks)
    context.report.ok("tasks", ", ".join(f"{counts[status]:,} {status}" for status in STATUSES if counts[status]))
    now = context.now().timestamp()
    unfinished = sorted((task for task in tasks if task.status in OPEN), key=lambda task: task.created)
    for task in unfinished[:MAX_LINES]:
        since = f"since {_moment(task.created)}, {task.runs} runs, last change {_moment(task.changed)}"
        if task.status == "working" and now - task.changed > QUIET_SECONDS:
            context.report.note(task.status, f"{since}: it waits for a moment, or for the queue")
        else:
            context.report.ok(task.status, since)
    if len(unfinished) > MAX_LINES:
        context.report.text(f"        and {len(unfinished) - MAX_LINES:,} more")
    return 0


async def _read(context: Context) -> list[Seen]:
    from entra_mcp.errors import StorageError
    from entra_mcp.storage.rows import collection_range
    from entra_mcp.tasks.rows import TASKS

    found: list[Seen] = []
    try:
        async with context.services.table() as table:
            context.report.ok("table", context.services.table_place)
            async for page in table.query(collection_range(TASKS), select=("T", "R", "C", "Timestamp")):
                for row in page:
                    changed = row.metadata["timestamp"].timestamp()
                    found.append(Seen(row["T"], int(row["R"]), row["C"].value / 1000, changed))
                context.report.step(f"{len(found):,} tasks read")
    except StorageError as error:
        raise OpsError(f"{error}\nYou need the role Storage Table Data Reader on the table.") from None
    return found


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


COMMAND = Command(
    name="tasks",
    summary="count the background tasks, and list those that have not ended",
    description=(
        "Reads the rows of the background tasks, without being able to open them: how many there are of each status,\n"
        "and since when those that have not ended are there."
    ),
    run=run,
    takes=(STORAGE_ACCOUNT, TABLE_NAME, CONNECTION_STRING, TENANT),
    examples="example: python -m ops tasks",
)
