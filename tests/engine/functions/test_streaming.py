"""Progress of a tool reaches its client when it happens, not when the tool has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastmcp import Client

if TYPE_CHECKING:
    from tests.engine.functions.harness import RunningHost


async def test_progress_notifications_arrive_while_the_tool_runs(host: RunningHost) -> None:
    arrived: asyncio.Queue[float] = asyncio.Queue()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        arrived.put_nowait(progress)

    async with Client(f"{host.url}/mcp") as client:
        counting = client.call_tool("count_slowly", {"steps": 10_000, "pause": 0.1}, progress_handler=note)
        call = asyncio.create_task(counting)
        async with asyncio.timeout(60):
            assert [await arrived.get() for _ in range(3)] == [0, 1, 2]
        assert not call.done()
        call.cancel()
        await asyncio.wait((call,))
