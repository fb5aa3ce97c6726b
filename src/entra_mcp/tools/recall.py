"""Reads the caller's notes."""

from __future__ import annotations

from fastmcp.server.sessions import UserSession  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.tools import tool
from mcp.types import ToolAnnotations

from entra_mcp.icon import glyph
from entra_mcp.samples.notes import Note, NoteName, Notes


@tool(
    icons=[glyph("M5 3h14v18l-7-5-7 5z", "M9 8h6", "M9 12h6")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)
async def recall(session: UserSession, name: NoteName | None = None) -> list[Note]:
    """Read the notes that you asked to remember: the one of that name, or all of them, oldest first."""
    notes = await Notes(session).all()
    return [Note(name=each, text=text) for each, text in notes.items() if name in {None, each}]
