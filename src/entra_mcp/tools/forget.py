"""Deletes the caller's notes."""

from __future__ import annotations

from fastmcp.server.sessions import UserSession  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.tools import tool
from mcp.types import ToolAnnotations

from entra_mcp.icon import glyph
from entra_mcp.samples.notes import NoteName, Notes


@tool(
    icons=[glyph("M5 3h14v18l-7-5-7 5z", "m9 8 6 6", "m15 8-6 6")],
    annotations=ToolAnnotations(
        read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
    ),
)
async def forget(session: UserSession, name: NoteName | None = None) -> int:
    """Forget one of your notes, or all of them when you give no name. Tells how many there were."""
    return await Notes(session).drop(name)
