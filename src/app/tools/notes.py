"""Notes that a person asks the server to keep: state that outlives the request, on any instance."""

from __future__ import annotations

from typing import Annotated

from fastmcp.exceptions import ToolError
from fastmcp.server.sessions import UserSession  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.tools import tool
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from entra_mcp.toolkit import glyph

MAX_NOTES = 50
MAX_CHARACTERS = 1_000
"""Together they keep a session well within one row of the store, whatever characters the notes have."""

NoteName = Annotated[str, Field(min_length=1, max_length=64, description="What the note is called.")]
NoteText = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS, description="What to remember.")]

WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


class Note(BaseModel):
    """A note and its name."""

    name: str
    text: str


@tool(icons=[glyph("M5 3h14v18l-7-5-7 5z")], annotations=WRITES)
async def remember(name: NoteName, text: NoteText, session: UserSession) -> Note:
    """Remember a note for you under a name, until you forget it or leave your notes alone for long.

    A note of the same name is replaced. Nobody else can read your notes.
    """
    notes = await _notes(session)
    if name not in notes and len(notes) >= MAX_NOTES:
        raise ToolError(f"There are {MAX_NOTES} notes already. Forget one first.")
    # A session is written as a whole: of two changes at the very same moment, one may be lost.
    await session.set("notes", notes | {name: text})
    return Note(name=name, text=text)


@tool(
    icons=[glyph("M5 3h14v18l-7-5-7 5z", "M9 8h6", "M9 12h6")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)
async def recall(session: UserSession, name: NoteName | None = None) -> list[Note]:
    """Read the notes that you asked to remember: the one of that name, or all of them, oldest first."""
    return [Note(name=each, text=text) for each, text in (await _notes(session)).items() if name in {None, each}]


@tool(icons=[glyph("M5 3h14v18l-7-5-7 5z", "m9 8 6 6", "m15 8-6 6")], annotations=WRITES)
async def forget(session: UserSession, name: NoteName | None = None) -> int:
    """Forget one of your notes, or all of them when you give no name. Returns how many there were."""
    notes = await _notes(session)
    left = {} if name is None else {other: text for other, text in notes.items() if other != name}
    if len(left) < len(notes):
        await session.set("notes", left)
    return len(notes) - len(left)


async def _notes(session: UserSession) -> dict[str, str]:
    return dict(await session.get("notes", {}))
