"""Tools that answer at once, step by step, or to administrators alone."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

from fastmcp import Context  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.server.auth import require_roles
from fastmcp.tools import tool
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from entra_mcp.downstream import Downstream
from entra_mcp.toolkit import Caller, CurrentCaller, Service

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)


@tool(annotations=READS)
async def add(a: Annotated[float, Field(le=1e15)], b: float) -> float:
    """Add two numbers."""
    return a + b


@tool(annotations=READS)
async def ship(region: Annotated[str, Field(max_length=20, json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Ship to a region."""
    return region


@tool(annotations=READS)
async def whoami(caller: Caller = CurrentCaller()) -> Caller:
    """Say who the caller is."""
    return caller


@tool(annotations=READS)
async def count_slowly(
    context: Context, to: Annotated[int, Field(ge=1, le=60)] = 5, seconds_each: Annotated[float, Field(ge=0)] = 0.3
) -> int:
    """Count, and report each number."""
    for number in range(1, to + 1):
        await asyncio.sleep(seconds_each)
        await context.report_progress(progress=number, total=to, message=f"{number} of {to}")
    return to


class Stats(BaseModel):
    """What the process that answers did so far."""

    process: int
    tokens_kept: int
    token_hits: int
    token_exchanges: int


@tool(auth=require_roles("Admin", extract=lambda claims: claims["roles"]))
async def admin_stats(downstream: Downstream = Service(Downstream)) -> Stats:
    """Show what this process did so far, to administrators alone."""
    counts, kept = downstream.tokens.counts, len(downstream.tokens)
    return Stats(process=os.getpid(), tokens_kept=kept, token_hits=counts.hits, token_exchanges=counts.exchanges)
