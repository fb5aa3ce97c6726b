"""Keeps a note for the caller: state that outlives the request, on whatever instance the next one lands."""

from __future__ import annotations

from fastmcp.server.sessions import UserSession  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.tools import tool
from mcp.types import ToolAnnotations

from entra_mcp.icon import glyph
from entra_mcp.samples.notes import Note, NoteName, Notes, NoteText


@tool(
    icons=[glyph("M5 3h14v18l-7-5-7 5z")],
    annotations=ToolAnnotations(
        read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
    ),
)
async def remember(name: NoteName, text: NoteText, session: UserSession) -> Note:
    """Remember a note for you under a name, until you forget it or leave your notes alone for long.

    A note of the same name is replaced. Nobody else can read your notes.
    """
    note = Note(name=name, text=text)
    await Notes(session).keep(note)
    return note
