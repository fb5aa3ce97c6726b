"""Progress of a tool reaches its client when it happens, not when the tool has ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastmcp import Client

if TYPE_CHECKING:
    from tests.engine.functions.harness import RunningHost

STEPS = 5
PAUSE = 0.3


async def test_progress_notifications_arrive_spread_over_time(host: RunningHost) -> None:
    arrivals: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        arrivals.append(time.monotonic())

    async with Client(f"{host.url}/mcp") as client:
        result = await client.call_tool("count_slowly", {"steps": STEPS, "pause": PAUSE}, progress_handler=note)
    ended = time.monotonic()
    gaps = [later - earlier for earlier, later in zip(arrivals, [*arrivals[1:], ended], strict=True)]

    assert result.data == STEPS
    assert len(arrivals) == STEPS
    # Buffered, all gaps but the last would be next to nothing; a busy machine may move any one of them.
    assert sorted(gaps)[1] > PAUSE / 3
    assert max(gaps) < 3 * PAUSE + 1
