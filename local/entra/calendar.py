"""Microsoft Graph's `/v1.0/me/calendarView`, over invented events: three on each day of the week's first five.

https://learn.microsoft.com/graph/api/user-list-calendarview
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse

from local.entra.graph_access import GraphError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.routing import Route

    from local.entra.accounts import Account
    from local.entra.graph_access import GraphAccess

READERS = frozenset({"Calendars.Read"})
PAGE_SIZE, LARGEST_PAGE = 10, 1000
MAX_VIEW = timedelta(days=1825)
EVENTS = (("Stand-up", 9, 15), ("Lunch", 12, 60), ("Review", 15, 45))
ALWAYS = ("@odata.etag", "id")
"""What every event has, whatever is selected."""


class Calendar:
    """The part of Microsoft Graph that lists a person's events in a window of time."""

    def __init__(self, *, access: GraphAccess) -> None:
        self._access = access

    def routes(self) -> list[Route]:
        return [self._access.route("/v1.0/me/calendarView", self.view)]

    async def view(self, request: Request) -> JSONResponse:
        claims = self._access.claims(request)
        account = self._access.account(claims)
        if account is None or not READERS & set(str(claims.get("scp", "")).split()):
            raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        query = request.query_params
        begin, end = _window(query)
        size = _number(query, "$top", default=PAGE_SIZE, smallest=1, largest=LARGEST_PAGE)
        skip = _number(query, "$skip", default=0, smallest=0, largest=2**31 - 1)
        if query.get("$orderby", "start/dateTime") != "start/dateTime":
            raise GraphError(400, "ErrorInvalidUrlQuery", "The stand-in orders by start/dateTime alone.")
        events = list(_events(account, begin, end))
        body: dict[str, Any] = {
            "@odata.context": f"https://{self._access.authority}/graph/v1.0/$metadata#users('{account.object_id}')/calendarView",
            "value": [_selected(event, query.get("$select")) for event in events[skip : skip + size]],
        }
        if skip + size < len(events):
            following = urlencode({**query, "$skip": str(skip + size)})
            body["@odata.nextLink"] = f"https://{self._access.authority}/graph/v1.0/me/calendarView?{following}"
        return JSONResponse(body)


def _window(query: QueryParams) -> tuple[datetime, datetime]:
    given = {name.lower(): value for name, value in query.items()}
    if not given.get("startdatetime") or not given.get("enddatetime"):
        message = (
            "This request requires a time window specified by the query string parameters StartDateTime and "
            "EndDateTime."
        )
        raise GraphError(400, "ErrorInvalidParameter", message)
    try:
        begin, end = (_instant(given[name]) for name in ("startdatetime", "enddatetime"))
    except ValueError:
        raise GraphError(400, "ErrorInvalidParameter", "The value of a time is not valid.") from None
    if end < begin or end - begin > MAX_VIEW:
        raise GraphError(400, "ErrorInvalidRequest", "The end date must be after the start date, within 1825 days.")
    return begin, end


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _number(query: QueryParams, name: str, *, default: int, smallest: int, largest: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or not smallest <= int(text) <= largest:
        raise GraphError(400, "ErrorInvalidUrlQueryOption", f"The value {text!r} for {name} is not valid.")
    return int(text)


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


def _selected(event: Mapping[str, Any], select: str | None) -> dict[str, Any]:
    if not select:
        return dict(event)
    chosen = {*ALWAYS, *(name.strip() for name in select.split(","))}
    return {name: value for name, value in event.items() if name in chosen}
