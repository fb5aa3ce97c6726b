"""A long piece of work with a large result, the resource that its link leads to, and a prompt."""

# Without `from __future__ import annotations`: FastMCP does not look up the names in annotations of prompts.

import asyncio
from typing import Literal

from fastmcp import Context
from fastmcp.prompts import prompt
from fastmcp.resources import resource
from fastmcp.tools import ToolResult, tool
from mcp.types import ResourceLink, TextContent

from entra_mcp.toolkit import glyph

Region = Literal["asia", "europe"]


@tool
async def export_report(context: Context, year: int, region: Region, seconds_each_month: float = 0.1) -> ToolResult:
    """Export a year's orders, month by month."""
    for month in range(1, 13):
        await asyncio.sleep(seconds_each_month)
        await context.report_progress(progress=month, total=12)
    link = ResourceLink(uri=f"report://orders/{year}/{region}", name="orders", mime_type="text/csv")
    return ToolResult(content=[TextContent(text="Exported."), link])


@resource("report://orders/{year}/{region}", mime_type="text/csv", icons=[glyph("M6 2h9l4 4v16H6z")])
async def order_report(year: str, region: str) -> str:
    """A year's orders."""
    return f"{year},{region}\n" * 10_000


@resource("report://catalogue", mime_type="application/json", icons=[glyph("M4 5h16")])
async def catalogue() -> str:
    """Which reports there are."""
    return '{"regions": ["asia", "europe"]}'


@prompt(icons=[glyph("M4 4h16v12H9l-5 5z")])
def review_orders(year: int, region: Region) -> str:
    """Review a year's orders."""
    return f"Review report://orders/{year}/{region}."
