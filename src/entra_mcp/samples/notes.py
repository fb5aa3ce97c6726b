"""What a person asked the server to remember: a few notes in their user session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastmcp.exceptions import ToolError
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from fastmcp.server.sessions import UserSession

MAX_NOTES = 50
MAX_CHARACTERS = 1_000
"""Together they keep a session well within one row of the store, whatever characters the notes have."""

_KEY = "notes"

NoteName = Annotated[str, Field(min_length=1, max_length=64, description="What the note is called.")]
NoteText = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS, description="What to remember.")]


class Note(BaseModel):
    """A note and its name."""

    name: str
    text: str


class Notes:
    """The notes of the person whose session this is.

    A session is read and written as a whole: of two changes at the very same moment, one may be lost.
    """

    def __init__(self, session: UserSession) -> None:
        self._session = session

    async def all(self) -> dict[str, str]:
        """The texts by name, oldest first."""
        return dict(await self._session.get(_KEY, {}))

    async def keep(self, note: Note) -> None:
        """Adds a note, or replaces the one with that name.

        Raises:
            ToolError: there are too many; the message is meant for the client.
        """
        notes = await self.all()
        if note.name not in notes and len(notes) >= MAX_NOTES:
            raise ToolError(f"There are {MAX_NOTES} notes already. Forget one first.")
        await self._session.set(_KEY, notes | {note.name: note.text})

    async def drop(self, name: str | None) -> int:
        """Removes one note, or all of them; returns how many there were."""
        notes = await self.all()
        left = {} if name is None else {other: text for other, text in notes.items() if other != name}
        if len(left) < len(notes):
            await self._session.set(_KEY, left)
        return len(notes) - len(left)
