"""What a tool can do about the background task that it runs in: save a checkpoint, and find it again in the next run.

A run can end at any moment, with its process. The task then runs again from the start, with the last checkpoint.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, cast, override

from fastmcp.dependencies import Dependency


class BackgroundTask:
    """The task that a tool runs in. This one stands for none: the client waits for the answer to its call."""

    id: str | None = None
    """The id that the client knows the task by. It is the same in every run, so other APIs can use it as an
    idempotency key."""

    checkpoint: Any = None
    """What the last run that saved something has saved; None in the first run, and without a task."""

    async def save(self, checkpoint: object) -> None:
        """Saves a value that JSON can hold for the next run; does nothing without a task.

        Raises:
            StorageError: it could not be saved. The checkpoint before it is still there.
        """


RUNNING: ContextVar[BackgroundTask | None] = ContextVar("background_task", default=None)
"""The task that this code runs in."""


def CurrentTask() -> BackgroundTask:  # noqa: N802 - written like FastMCP's own dependencies
    """Declares, as a parameter's default, that a tool wants to save checkpoints."""
    return cast("BackgroundTask", _CurrentTask())


class _CurrentTask(Dependency[BackgroundTask]):
    @override
    async def __aenter__(self) -> BackgroundTask:
        return RUNNING.get() or BackgroundTask()
