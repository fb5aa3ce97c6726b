"""Fires timer triggers on their schedule, one run of a function at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from local.host.errors import UnsupportedError

if TYPE_CHECKING:
    from local.host.messages import Function
    from local.host.process import WorkerProcess

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)

LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_PART = re.compile(r"(\*|\d+(?:-\d+)?)(?:/([1-9]\d*))?")

DATA = json.dumps({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False})
"""What the host passes to a timer function. Missed runs are not made up for: there is no monitor."""

logger = logging.getLogger(__name__)


class Schedule:
    """`{second} {minute} {hour} {day} {month} {day of week}` in UTC; each field `*`, `7`, `1-5`, `*/10`, or a list."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        if len(fields) != len(LIMITS):
            raise UnsupportedError(f"Schedule {expression!r} has not six fields, as in '0 0 * * * *'.")
        self._fields = [_values(expression, field, *limits) for field, limits in zip(fields, LIMITS, strict=True)]

    def comes(self, after: datetime, until: datetime) -> bool:
        """Whether a second fits that is later than `after` and not later than `until`, of the last day of that time."""
        at = max(after, until - DAY).replace(microsecond=0)
        while (at := at + SECOND) <= until:
            units = (at.second, at.minute, at.hour, at.day, at.month, at.isoweekday() % 7)
            if all(unit in values for unit, values in zip(units, self._fields, strict=True)):
                return True
        return False


class Timer:
    """A timer function in its worker."""

    def __init__(self, function: Function, worker: WorkerProcess) -> None:
        self._function = function
        self._worker = worker
        self._schedule = Schedule(str(function.trigger.get("schedule", "")))
        self.due = 1 if function.trigger.get("runOnStartup") else 0
        """How many runs are to come."""
        self._fired = asyncio.Event()

    def fire(self) -> None:
        """Run the function now; runs that are under way or due go first."""
        self.due += 1
        self._fired.set()

    async def run(self) -> None:
        """Run until cancelled; a run that takes longer than the period delays the next one."""
        seen = datetime.now(UTC)
        while True:
            while self.due:
                self.due -= 1
                await self._execute()
            self._fired.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._fired.wait(), 1 - seen.microsecond / 1_000_000)
            before, seen = seen, datetime.now(UTC)
            self.due += self._schedule.comes(before, seen)

    async def _execute(self) -> None:
        name = self._function.name
        logger.info("Executing %s.", name)
        error = await self._worker.call(self._function, kind="json", data=DATA)
        if error is None:
            logger.info("Executed %s.", name)
        else:
            logger.error("%s failed: %s", name, error)


def _values(expression: str, field: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    for part in field.split(","):
        found = _PART.fullmatch(part)
        first, _, last = found[1].partition("-") if found and found[1] != "*" else (str(low), "", str(high))
        span = range(int(first), int(last or first) + 1, int(found[2] or 1)) if found else range(0)
        if not span or span[0] < low or span[-1] > high:
            raise UnsupportedError(f"Schedule {expression!r}: {part!r} is not *, or numbers from {low} to {high}.")
        values.update(span)
    return frozenset(values)
