"""MCP tools of the fixture app; they write down when they begin, end and are cancelled."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastmcp import Context, FastMCP

if TYPE_CHECKING:
    from collections.abc import Generator


def fixture_server(diary: list[str]) -> FastMCP:
    server: FastMCP = FastMCP("fixture")

    @contextmanager
    def noted() -> Generator[None]:
        diary.append("began")
        try:
            yield
        except asyncio.CancelledError:
            diary.append("cancelled")
            raise
        diary.append("ended")

    async def count_slowly(context: Context, steps: int, pause: float) -> int:
        with noted():
            for step in range(steps):
                await context.report_progress(step, steps)
                await asyncio.sleep(pause)
        return steps

    async def sleep_quietly(seconds: float) -> str:
        with noted():
            await asyncio.sleep(seconds)
        return "rested"

    server.tool(count_slowly)
    server.tool(sleep_quietly)
    return server
