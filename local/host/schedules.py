"""When a timer fires: NCRONTAB expressions, in UTC as on Linux plans of Azure Functions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from itertools import product

from local.host.errors import ScheduleError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_PART = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d+))?")
_HORIZON = timedelta(days=366 * 8)
"""29 February can be eight years away."""


class Schedule:
    """`{second} {minute} {hour} {day} {month} {day of week}`, or the last five alone; raises ScheduleError."""

    def __init__(self, expression: str) -> None:
        # A time span is legal on other plans; Flex Consumption refuses it (AZFD0015).
        if re.fullmatch(r"[\d.]*\d:\d+(:\d+)?", expression.strip()):
            raise ScheduleError(
                expression, 'Flex Consumption takes no time span; write an NCRONTAB expression, as "0 0 * * * *".'
            )
        parts = expression.split()
        if len(parts) == len(_FIELDS) - 1:
            parts = ["0", *parts]
        if len(parts) != len(_FIELDS):
            raise ScheduleError(expression, "has neither six nor five fields.")
        seconds, minutes, hours, self._days, self._months, self._weekdays = (
            _values(expression, part, *field) for part, field in zip(parts, _FIELDS, strict=True)
        )
        self._times = [time(*parts) for parts in product(sorted(hours), sorted(minutes), sorted(seconds))]
        self._expression = expression
        self.next_after(datetime(2000, 1, 1, tzinfo=UTC))  # raises for what never comes

    def next_after(self, moment: datetime) -> datetime:
        """The first time strictly after `moment`, which must be in UTC."""
        start = (moment + timedelta(seconds=1)).replace(microsecond=0)
        for ahead in range(_HORIZON.days):
            day = start.date() + timedelta(days=ahead)
            # Day and day of week must both fit; unlike in Unix cron, neither is enough alone.
            if day.month in self._months and day.day in self._days and day.isoweekday() % 7 in self._weekdays:
                earliest = start.time() if ahead == 0 else time()
                fitting = next((moment for moment in self._times if moment >= earliest), None)
                if fitting is not None:
                    return datetime.combine(day, fitting, tzinfo=UTC)
        raise ScheduleError(self._expression, "never comes.")


def _values(expression: str, text: str, field: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ScheduleError(expression, f"{part!r} is no {field}.")
        step = int(match["step"] or 1)
        if match["first"] == "*":
            first, last = low, high
        else:
            first = _number(expression, match["first"], field, low, names)
            open_end = high if match["step"] else first
            last = _number(expression, match["last"], field, low, names) if match["last"] else open_end
        if not (low <= first <= last <= high) or step < 1:
            raise ScheduleError(expression, f"{part!r} is not between {low} and {high} ({field}).")
        values.update(range(first, last + 1, step))
    return frozenset(values)


def _number(expression: str, text: str, field: str, low: int, names: tuple[str, ...]) -> int:
    if text.isascii() and text.isdigit():
        return int(text)
    if text.lower()[:3] in names:
        return names.index(text.lower()[:3]) + low
    raise ScheduleError(expression, f"{text!r} is no {field}.")
