"""The smallest tool."""

from __future__ import annotations

from typing import Annotated

from fastmcp.tools import tool
from mcp.types import ToolAnnotations
from pydantic import Field

from entra_mcp.toolkit import glyph

Number = Annotated[float, Field(ge=-1e15, le=1e15)]
"""Bounds also keep out infinity, which JSON has no number for."""


@tool(
    icons=[glyph("M12 5v14", "M5 12h14")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)
async def add(a: Number, b: Number) -> float:
    """Add two numbers."""
    return a + b
