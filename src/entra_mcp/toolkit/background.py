"""What a tool can do about the background task that it runs in: save a checkpoint, wait without an instance, try again.

A run can end at any moment, with its process. The task then runs again from the start, with the last checkpoint.
"""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast, override

from fastmcp.dependencies import Dependency
from fastmcp.exceptions import ToolError

if TYPE_CHECKING:
    from datetime import datetime


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
            StorageError: it could not be saved. The checkpoint before it is still there, unless the task was cancelled
                or has a later run: this one should end.
            ToolError: it is too large (docs/tasks.md).
        """

    async def wait_until(self, moment: datetime) -> None:
        """Returns at the moment, or at once when it has passed.

        A task does not wait in a process: this run ends here, and the next one begins at the moment, from the start.

        Raises:
            ToolError: the task is not kept that long.
        """
        await asyncio.sleep(moment.timestamp() - time.time())

    def retry(self, times: int) -> None:
        """Lets the tool, which has failed, run again, so many times in all; does nothing without a task."""


RUNNING: ContextVar[BackgroundTask | None] = ContextVar("background_task", default=None)
"""The task that this code runs in."""


def CurrentTask(*, retries: int = 0) -> BackgroundTask:  # noqa: N802 - written like FastMCP's own dependencies
    """Declares, as a parameter's default, that a tool wants to know its task.

    A task whose tool raises anything but a `ToolError` runs again, up to `retries` times, after 5 s, 10 s, 20 s and on.
    """
    return cast("BackgroundTask", _CurrentTask(retries))


class _CurrentTask(Dependency[BackgroundTask]):
    def __init__(self, retries: int) -> None:
        self._retries = retries

    @override
    async def __aenter__(self) -> BackgroundTask:
        return RUNNING.get() or BackgroundTask()

    @override
    async def __aexit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        if exc_type is None or not issubclass(exc_type, Exception) or issubclass(exc_type, ToolError):
            return
        if (task := RUNNING.get()) is not None:
            task.retry(self._retries)
