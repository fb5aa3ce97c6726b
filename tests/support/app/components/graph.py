"""Tools that call Microsoft Graph on the caller's behalf, with permissions from the sign-in and on demand."""

from __future__ import annotations

from datetime import date, timedelta

from fastmcp.tools import tool
from pydantic import BaseModel

from entra_mcp.downstream import Graph, GraphClient


class Profile(BaseModel):
    """Who Graph takes the caller for."""

    object_id: str
    username: str


@tool
async def graph_me(graph: GraphClient = Graph("User.Read")) -> Profile:
    """Read the caller's profile."""
    found = await graph.get("/me", select=("id", "userPrincipalName"))
    return Profile(object_id=found["id"], username=found["userPrincipalName"])


class Events(BaseModel):
    """Some events, and where the next ones are."""

    starts: list[str]
    cursor: str | None


@tool
async def my_calendar(
    first_day: date = date(2026, 7, 27),
    days: int = 5,
    page_size: int = 10,
    cursor: str | None = None,
    graph: GraphClient = Graph("Calendars.Read"),
) -> Events:
    """Read when the caller's events begin, some at a time."""
    page = await graph.page(
        "/me/calendarView",
        cursor=cursor,
        select=("start",),
        parameters={
            "startDateTime": f"{first_day}T00:00:00Z",
            "endDateTime": f"{first_day + timedelta(days=days)}T00:00:00Z",
            "$orderby": "start/dateTime",
            "$top": str(page_size),
        },
    )
    return Events(starts=[item["start"]["dateTime"] for item in page.items], cursor=page.cursor)
