"""Decides what a message of the queue leads to: a run of its task, a later message, or the end of the task.

The queue delivers a message at least once, and its own count of deliveries counts also what neighbours in the process
did. So the row alone decides: a run takes a lease on it, renews that as long as it runs, and ends the task only if the
row is still its own.

A run begins with a message that comes when its lease is over. If the run lives then, the message is sent again for the
end of the renewed lease. If it died, with its process or its whole host, the message begins the next one. So nothing
has to look for dead runs, and an app with no task under way does nothing.

A task that ends its process takes its neighbours along. So after a death the next run begins at a random moment, later
each time: tasks that died together seldom start together again.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from entra_mcp.tasks.queue import body_of
from entra_mcp.tasks.rows import TaskChangedError
from entra_mcp.tasks.run import Run, failed

if TYPE_CHECKING:
    from fastmcp import FastMCP

    from entra_mcp.tasks.parts import TaskParts
    from entra_mcp.tasks.rows import Stored, Task

DIED = "The server stopped too often while it ran the task."
UNKNOWN = (
    "A message names a task that the table does not have, and is dropped. The task was deleted or has expired, or "
    "another server uses this storage account (docs/tasks.md)."
)

logger = logging.getLogger(__name__)


class Runner:
    """Runs the tasks of one server."""

    def __init__(self, server: FastMCP, parts: TaskParts) -> None:
        self.server = server
        self.parts = parts

    async def run(self, message: bytes) -> None:
        """Runs the task of a queue message, unless somebody else does, or nothing is left to do.

        Raises:
            DependencyError: storage or the vault is out of reach. The host brings the message again.
        """
        # This may be the only message that counts. So when somebody else was faster, the row as it is now decides.
        while (stored := await self._due(message)) is not None:
            task, now = stored.task, self.parts.rows.clock()
            waited = now - max(task.updated, task.lease)
            if waited > self.parts.limits.late:
                logger.warning("A background task of %s is late: it waited %d s.", task.tool, waited)
            if task.running:
                # The lease has run out, so the run's process is gone or cut off.
                task = self._after_death(task, now)
            if not task.is_final and task.lease <= now:
                task = self._next_turn(task, now)
            # First the message, then the row: a message of a turn that never began does not count.
            if not task.is_final:
                await self.parts.send(task, delay=task.lease - now)
            written = await self._write(stored, task)
            if written is None:
                continue
            if task.running:
                await Run(self.server, self.parts, written).execute()
            return

    async def judge(self, message: bytes) -> None:
        """Decides about a message that the host has given up: its task goes on, or fails after too many of these.

        Raises:
            DependencyError: as `run`.
        """
        while (stored := await self._due(message)) is not None:
            task = stored.task.counted("refused")
            logger.warning("The host gave up a message of a background task of %s.", task.tool)
            if task.attempts["refused"] >= self.parts.limits.refused:
                task = failed(task, DIED)
            else:
                await self.parts.send(task, delay=self.parts.limits.backoff)
            if await self._write(stored, task) is not None or not task.is_final:
                return

    def _after_death(self, task: Task, now: float) -> Task:
        """The task after a run that ended with its process: it waits for a random moment, or fails."""
        task = task.counted("lost")
        deaths, limits = task.attempts["lost"], self.parts.limits
        if deaths >= limits.deaths:
            return failed(task, DIED)
        longest = min(limits.apart * limits.apart_factor ** (deaths - 1), limits.longest_backoff)
        return replace(task, running=False, lease=now + longest * secrets.randbelow(1000) / 1000)

    def _next_turn(self, task: Task, now: float) -> Task:
        """The task as a run takes it."""
        turn, lease = secrets.token_urlsafe(12), now + self.parts.limits.lease
        return replace(task, turn=turn, running=True, runs=task.runs + 1, lease=lease)

    async def _due(self, message: bytes) -> Stored | None:
        """The task of the message, if something is left to do for it now and the message still counts.

        Where a lease has not run out, the message is sent again for its end.
        """
        addressed = await self.parts.rows.addressed(body_of(message))
        if addressed is None:
            logger.error("A message in the queue of tasks is none of this server's, and is dropped.")
            return None
        stored = await self.parts.rows.read(addressed.task_id)
        if stored is None:
            logger.warning(UNKNOWN)
            return None
        if stored.task.status != "working" or stored.task.turn != addressed.turn:
            return None
        if (left := stored.task.lease - self.parts.rows.clock()) > 0:
            await self.parts.send(stored.task, delay=left)
            return None
        return stored

    async def _write(self, stored: Stored, task: Task) -> Stored | None:
        """Writes the task; returns None when somebody else was faster."""
        try:
            return await self.parts.rows.write(stored, task)
        except TaskChangedError:
            # The answer to this very write may have been lost. A turn that it began is nobody else's.
            found = await self.parts.rows.read(task.id) if task.turn != stored.task.turn else None
            return found if found is not None and found.task.running and found.task.turn == task.turn else None
