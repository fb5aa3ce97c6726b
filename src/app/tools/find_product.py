"""A search in a database that the process opened."""

from __future__ import annotations

from typing import Annotated

from fastmcp.tools import tool
from mcp.types import ToolAnnotations
from pydantic import Field

from app.samples.catalog import Catalog, Product
from entra_mcp.toolkit import Service, glyph


@tool(
    icons=[glyph("M4 6c0-4 16-4 16 0s-16 4-16 0", "M4 6v12c0 4 16 4 16 0V6", "M4 12c0 4 16 4 16 0")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)
async def find_product(
    text: Annotated[str, Field(max_length=100, description="Part of the name; all products unless given.")] = "",
    limit: Annotated[int, Field(ge=1, le=50, description="How many products at most.")] = 10,
    catalog: Catalog = Service(Catalog),
) -> list[Product]:
    """Find products in the catalog by their name."""
    return await catalog.find(text, limit=limit)
