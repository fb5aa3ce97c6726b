"""A tool that takes its time and says how far it is."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastmcp import Context  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.tools import tool
from mcp.types import ToolAnnotations
from pydantic import Field

from entra_mcp.toolkit import glyph


@tool(
    icons=[glyph("M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18", "M12 7v5l3 3")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)
async def count_slowly(
    context: Context,
    to: Annotated[int, Field(ge=1, le=60, description="The number to count to.")] = 5,
    seconds_each: Annotated[float, Field(ge=0, le=3, description="The pause before each number, in seconds.")] = 0.3,
) -> int:
    """Count to a number, reporting each step while it happens. Stops when the call is cancelled."""
    for number in range(1, to + 1):
        await asyncio.sleep(seconds_each)
        await context.report_progress(progress=number, total=to, message=f"{number} of {to}")
    return to
