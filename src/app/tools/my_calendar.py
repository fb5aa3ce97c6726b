"""The caller's calendar in Microsoft 365: a list of another API, handed on page by page."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastmcp.tools import tool
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field

from entra_mcp.downstream import Graph, GraphClient
from entra_mcp.toolkit import glyph

PROPERTIES = ("subject", "start", "end", "location", "isAllDay")


class Event(BaseModel):
    """An event; the times are UTC."""

    subject: str | None
    start: datetime
    end: datetime
    location: str | None
    all_day: bool


class Events(BaseModel):
    """One page of a calendar, and how to get the next."""

    events: list[Event]
    first_day: date = Field(description="Give it again with the cursor.")
    cursor: str | None = Field(description="Give it to get the next page; absent at the end.")


@tool(
    icons=[glyph("M4 6h16v15H4z", "M4 10h16", "M8 3v5", "M16 3v5")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=True),
)
async def my_calendar(
    first_day: Annotated[
        date | None,
        Field(ge=date(1900, 1, 1), le=date(2200, 1, 1), description="The first day, in UTC; today unless given."),
    ] = None,
    days: Annotated[int, Field(ge=1, le=31, description="How many days.")] = 7,
    page_size: Annotated[int, Field(ge=1, le=50, description="How many events at a time.")] = 10,
    cursor: Annotated[str | None, Field(max_length=1000, description="The cursor of the page before.")] = None,
    graph: GraphClient = Graph("Calendars.Read"),
) -> Events:
    """Read the events of your calendar, some at a time: the other arguments stay the same from page to page."""
    begin = first_day or datetime.now(UTC).date()
    page = await graph.page(
        "/me/calendarView",
        cursor=cursor,
        select=PROPERTIES,
        parameters={
            "startDateTime": f"{begin}T00:00:00Z",
            "endDateTime": f"{begin + timedelta(days=days)}T00:00:00Z",
            "$orderby": "start/dateTime",
            "$top": str(page_size),
        },
        headers={"Prefer": 'outlook.timezone="UTC"'},
    )
    return Events(events=[_event(item) for item in page.items], first_day=begin, cursor=page.cursor)


def _event(item: dict[str, Any]) -> Event:
    """Reads an event of Graph (https://learn.microsoft.com/graph/api/resources/event)."""
    return Event(
        subject=item["subject"],
        start=_utc(item["start"]["dateTime"]),
        end=_utc(item["end"]["dateTime"]),
        location=item["location"]["displayName"] or None,
        all_day=item["isAllDay"],
    )


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
