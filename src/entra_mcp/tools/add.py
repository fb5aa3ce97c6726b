"""The smallest tool."""

from __future__ import annotations

from fastmcp.tools import tool
from mcp.types import ToolAnnotations

from entra_mcp.icon import glyph


@tool(
    icons=[glyph("M12 5v14", "M5 12h14")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)
async def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b
