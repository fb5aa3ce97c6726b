"""Tools whose next request may meet another instance: what is kept for a person, and questions to them."""

from __future__ import annotations

from typing import Annotated

from fastmcp import Context  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.server.sessions import UserSession  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.tools import tool
from mcp.types import InputRequiredResult  # noqa: TC002 - FastMCP reads the annotation
from pydantic import BaseModel, Field

from entra_mcp.toolkit import answered, ask, can_ask


class Note(BaseModel):
    """A text under a name."""

    name: str
    text: str


@tool
async def remember(name: str, text: str, session: UserSession) -> Note:
    """Keep a note for the caller."""
    await session.set("notes", {**await session.get("notes", {}), name: text})
    return Note(name=name, text=text)


@tool
async def recall(session: UserSession, name: str | None = None) -> list[Note]:
    """Read the caller's notes."""
    notes = dict(await session.get("notes", {}))
    return [Note(name=each, text=text) for each, text in notes.items() if name in {None, each}]


@tool
async def forget(session: UserSession) -> int:
    """Drop the caller's notes."""
    count = len(await session.get("notes", {}))
    await session.set("notes", {})
    return count


class Wishes(BaseModel):
    """What the person is asked for first."""

    days: Annotated[int, Field(ge=1, le=14)]
    style: str


class Approval(BaseModel):
    """What the person is asked for then."""

    approved: bool


class Trip(BaseModel):
    """The plan."""

    days: list[str]
    note: str


@tool
async def plan_trip(
    context: Context, destination: str, days: int | None = None, style: str | None = None
) -> Trip | InputRequiredResult:
    """Plan a trip, and ask twice before."""
    if days is not None and style is not None:
        return _trip(destination, days, style)
    if not can_ask(context):
        return Trip(days=[], note="Ask for days and style, and call again with both.")
    if context.request_state is None:
        return ask("wishes", Wishes, f"What is {destination} to be like?", state="asked")
    if (wishes := answered(context, "wishes", Wishes)) is not None:
        return ask("approval", Approval, "Plan each day?", state=wishes.model_dump_json())
    if (approval := answered(context, "approval", Approval)) is not None and approval.approved:
        wishes = Wishes.model_validate_json(context.request_state)
        return _trip(destination, wishes.days, wishes.style)
    return Trip(days=[], note="Nothing was planned.")


def _trip(destination: str, days: int, style: str) -> Trip:
    return Trip(days=[f"{style} in {destination}"] * days, note="Planned.")


@tool
async def keep_in_session(value: str, context: Context) -> str:
    """Keep a value for this session."""
    await context.set_state("kept", value)
    return value


@tool
async def kept_in_session(context: Context) -> str:
    """Return what is kept for this session."""
    return str(await context.get_state("kept"))
