"""Async context managers as fixtures: pytest sets up and tears down in different tasks, which cancel scopes forbid."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager


@asynccontextmanager
async def in_own_task[T](manager: AbstractAsyncContextManager[T]) -> AsyncGenerator[T]:
    """Enters and leaves the manager in one task of its own."""
    entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def run() -> None:
        try:
            async with manager as value:
                entered.set_result(value)
                await leave.wait()
        except BaseException as error:
            if entered.done():
                raise
            entered.set_exception(error)

    task = asyncio.create_task(run())
    try:
        yield await entered
    finally:
        leave.set()
        await task
