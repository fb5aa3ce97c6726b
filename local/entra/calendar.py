"""The events of Microsoft Graph's calendar view, which are invented: three on each day of the week's first five.

https://learn.microsoft.com/graph/api/user-list-calendarview
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from local.entra.protected import ApiError, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.datastructures import QueryParams

    from local.entra.accounts import Account

PAGE_SIZE, LARGEST_PAGE = 10, 1000
MAX_VIEW = timedelta(days=1825)
EVENTS = (("Stand-up", 9, 15), ("Lunch", 12, 60), ("Review", 15, 45))


def calendar_page(account: Account, query: QueryParams) -> tuple[list[dict[str, Any]], int | None]:
    """The events of the query's window and page, and what `$skip` begins the next page, if there is one.

    Raises ApiError for what Graph refuses.
    """
    begin, end = _window(query)
    code = "ErrorInvalidUrlQueryOption"
    size = number(query, "$top", default=PAGE_SIZE, smallest=1, largest=LARGEST_PAGE, code=code)
    skip = number(query, "$skip", default=0, smallest=0, largest=2**31 - 1, code=code)
    if query.get("$orderby", "start/dateTime") != "start/dateTime":
        raise ApiError(400, "ErrorInvalidUrlQuery", "The stand-in orders by start/dateTime alone.")
    events, following = list(_events(account, begin, end)), skip + size
    return events[skip:following], following if following < len(events) else None


def _window(query: QueryParams) -> tuple[datetime, datetime]:
    given = {name.lower(): value for name, value in query.items()}
    if not given.get("startdatetime") or not given.get("enddatetime"):
        message = (
            "This request requires a time window specified by the query string parameters StartDateTime and "
            "EndDateTime."
        )
        raise ApiError(400, "ErrorInvalidParameter", message)
    try:
        begin, end = (_instant(given[name]) for name in ("startdatetime", "enddatetime"))
    except ValueError:
        raise ApiError(400, "ErrorInvalidParameter", "The value of a time is not valid.") from None
    if end < begin or end - begin > MAX_VIEW:
        raise ApiError(400, "ErrorInvalidRequest", "The end date must be after the start date, within 1825 days.")
    return begin, end


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _events(account: Account, begin: datetime, end: datetime) -> Iterator[dict[str, Any]]:
    day = begin.date()
    while day <= end.date():
        if day.isoweekday() <= 5:
            for subject, hour, minutes in EVENTS:
                event = _event(account, day, subject, hour=hour, minutes=minutes)
                if event["start"]["dateTime"] < _local(end) and event["end"]["dateTime"] > _local(begin):
                    yield event
        day += timedelta(days=1)


def _event(account: Account, day: date, subject: str, *, hour: int, minutes: int) -> dict[str, Any]:
    start = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    identifier = hashlib.sha256(f"{account.object_id} {start}".encode()).hexdigest()
    return {
        "@odata.etag": f'W/"{identifier[:12]}"',
        "id": identifier,
        "subject": subject,
        "isAllDay": False,
        "showAs": "busy",
        "start": {"dateTime": _local(start), "timeZone": "UTC"},
        "end": {"dateTime": _local(start + timedelta(minutes=minutes)), "timeZone": "UTC"},
        "location": {"displayName": "" if subject == "Lunch" else "Room 1", "locationType": "default"},
        "organizer": {"emailAddress": {"name": account.name, "address": account.username}},
    }


def _local(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.0000000")
