"""Long work with a large result: a background task with progress and checkpoints, and a link instead of the data."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated

from fastmcp import Context  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.tools import ToolResult, tool
from mcp.types import ResourceLink, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from app.samples.reports import CHART, FIRST_YEAR, LAST_YEAR, MIME_TYPE, Region, report_months, report_uri, units_sold
from entra_mcp.toolkit import BackgroundTask, CurrentTask, glyph

MONTHS = 12


class Export(BaseModel):
    """What was exported, and where to read it."""

    uri: str
    rows: int
    size: int = Field(description="In bytes.")
    sha256: str
    sold: list[int] = Field(description="Units in each month.")


@tool(
    task=True,
    meta={"ui": {"resourceUri": CHART}},
    icons=[glyph("M6 2h9l4 4v16H6z", "M9 12h7", "M9 16h7")],
    annotations=ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False),
    output_schema=Export.model_json_schema(),
)
async def export_report(
    context: Context,
    year: Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR, description="The year of the orders.")] = 2024,
    region: Annotated[Region, Field(description="The region of the orders.")] = "europe",
    seconds_each_month: Annotated[float, Field(ge=0, le=60, description="How long each month takes.")] = 0.1,
    task: BackgroundTask = CurrentTask(),
) -> ToolResult:
    """Export a year's orders of a region as CSV. Reports each month, and stops when the call is cancelled."""
    months = list(report_months(year, region))
    for number in range((task.checkpoint or 0) + 1, MONTHS + 1):
        await asyncio.sleep(seconds_each_month)
        await task.save(number)
        await context.report_progress(progress=number, total=MONTHS, message=f"{number} of {MONTHS} months")
    text = "".join(months)
    uri, content = report_uri(year, region), text.encode()
    export = Export(
        uri=uri,
        rows=text.count("\n") - 1,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        sold=[units_sold(month) for month in months],
    )
    name = f"orders-{year}-{region}.csv"
    report = ResourceLink(uri=uri, name=name, mime_type=MIME_TYPE, size=len(content))
    summary = TextContent(text=f"{export.rows} orders, {len(content)} bytes: {uri}")
    return ToolResult(content=[summary, report], structured_content=export.model_dump())
