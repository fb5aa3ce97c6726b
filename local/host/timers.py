"""Fires timer triggers on their schedule, one run of a function at a time."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from local.host.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from local.host.messages import Function

    type Fire = Callable[[Function], Awaitable[object]]

LONGEST_NAP = timedelta(seconds=30)
"""A laptop that slept must notice within this time that its clock has moved on."""

LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_PART = re.compile(r"(\*|\d+(?:-\d+)?)(?:/(\d+))?")


class Schedule:
    """`{second} {minute} {hour} {day} {month} {day of week}` in UTC; each field `*`, `7`, `1-5`, `*/10`, or a list."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        if len(fields) != len(LIMITS):
            raise UnsupportedError(f"Schedule {expression!r} has not six fields, as in '0 0 * * * *'.")
        self._expression = expression
        self._fields = [_values(expression, field, *limits) for field, limits in zip(fields, LIMITS, strict=True)]

    def next_after(self, moment: datetime) -> datetime:
        """The first fitting second after `moment`.

        Raises:
            UnsupportedError: no day of the next eight years fits, as the 31st of February never does.
        """
        seconds, minutes, hours, days, months, weekdays = self._fields
        at = moment.replace(microsecond=0) + timedelta(seconds=1)
        end = at + timedelta(days=8 * 366)
        while at < end:
            if at.day not in days or at.month not in months or at.isoweekday() % 7 not in weekdays:
                at = at.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            elif at.hour not in hours:
                at = at.replace(minute=0, second=0) + timedelta(hours=1)
            elif at.minute not in minutes:
                at = at.replace(second=0) + timedelta(minutes=1)
            elif at.second not in seconds:
                at += timedelta(seconds=1)
            else:
                return at
        raise UnsupportedError(f"Schedule {self._expression!r} never comes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    function: Function
    schedule: Schedule
    run_on_startup: bool


def timers_of(functions: Iterable[Function]) -> list[Timer]:
    """The timer functions of an app; raises UnsupportedError."""
    return [
        Timer(
            function=function,
            schedule=Schedule(str(function.trigger.get("schedule", ""))),
            run_on_startup=bool(function.trigger.get("runOnStartup")),
        )
        for function in functions
        if function.trigger["type"] == "timerTrigger"
    ]


def timer_data() -> str:
    """What the host passes to a timer function. Missed runs are not made up for: there is no monitor."""
    return json.dumps({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False})


async def run_timer(timer: Timer, fire: Fire) -> None:
    """Run until cancelled; a run that takes longer than the period delays the next one, and they never overlap."""
    if timer.run_on_startup:
        await fire(timer.function)
    due = timer.schedule.next_after(datetime.now(UTC))
    while True:
        wait = due - datetime.now(UTC)
        if wait > timedelta(0):
            await asyncio.sleep(min(wait, LONGEST_NAP).total_seconds())
            continue
        await fire(timer.function)
        due = timer.schedule.next_after(max(due, datetime.now(UTC)))


def _values(expression: str, field: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    for part in field.split(","):
        found = _PART.fullmatch(part)
        first, _, last = found[1].partition("-") if found and found[1] != "*" else (str(low), "", str(high))
        span = range(int(first), int(last or first) + 1, int(found[2] or 1)) if found and found[2] != "0" else range(0)
        if not span or span[0] < low or span[-1] > high:
            raise UnsupportedError(f"Schedule {expression!r}: {part!r} is not *, or numbers from {low} to {high}.")
        values.update(span)
    return frozenset(values)
