"""Fires timer triggers on their schedule, one run of a function at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from local.host.errors import ScheduleError
from local.host.schedules import Schedule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from local.host.messages import Function

    type Fire = Callable[[Function], Awaitable[object]]

LONGEST_NAP = timedelta(seconds=30)
"""A laptop that slept must notice within this time that its clock has moved on."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    function: Function
    schedule: Schedule
    run_on_startup: bool


def timers_of(functions: Iterable[Function], settings: Mapping[str, str]) -> list[Timer]:
    """The timer functions of an app; raises ScheduleError."""
    return [
        Timer(
            function=function,
            schedule=Schedule(_resolve(str(function.trigger.get("schedule", "")), settings)),
            run_on_startup=bool(function.trigger.get("runOnStartup")),
        )
        for function in functions
        if function.trigger["type"] == "timerTrigger"
    ]


def timer_data(*, past_due: bool = False) -> str:
    """What the host passes to a timer function, as JSON. Missed runs are not made up for: there is no monitor."""
    return json.dumps({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": past_due})


async def run_timer(timer: Timer, fire: Fire) -> None:
    """Run until cancelled; a run that takes longer than the period delays the next one, and they never overlap."""
    if timer.run_on_startup:
        await fire(timer.function)
    due = timer.schedule.next_after(_now())
    while True:
        wait = due - _now()
        if wait > timedelta(0):
            await asyncio.sleep(min(wait, LONGEST_NAP).total_seconds())
            continue
        await fire(timer.function)
        due = timer.schedule.next_after(max(due, _now()))


def _now() -> datetime:
    return datetime.now(UTC)


def _resolve(expression: str, settings: Mapping[str, str]) -> str:
    """`%NAME%` stands for an app setting."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in settings:
            raise ScheduleError(expression, f"there is no app setting {match[1]}.")
        return settings[match[1]]

    return re.sub("%([^%]+)%", value, expression)
