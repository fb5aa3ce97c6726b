"""Schedules mean what they mean in Azure Functions (NCRONTAB), as far as this host knows them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from unittest.mock import AsyncMock, Mock

import pytest

from local.host.errors import UnsupportedError
from local.host.messages import Function
from local.host.timers import Schedule, Timer

START = datetime(2026, 3, 14, 10, 20, 30, tzinfo=UTC)  # a Saturday
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("* * * * * *", "2026-03-14 10:20:31"),
        ("0 */5 * * * *", "2026-03-14 10:25:00"),
        ("0 0 * * * *", "2026-03-14 11:00:00"),
        ("30 20 10 * * *", "2026-03-15 10:20:30"),
        ("0 30 9 * * 0-1", "2026-03-15 09:30:00"),
        ("0 0 5,8,10 * * *", "2026-03-15 05:00:00"),
        ("0 0 9-17/4 * * *", "2026-03-14 13:00:00"),
        ("0 0 10 14,15 * 0", "2026-03-15 10:00:00"),  # both day and day of week, not either
    ],
)
def test_first_time_is_the_first_one_that_fits(expression: str, due: str) -> None:
    schedule = Schedule(expression)
    at = datetime.fromisoformat(due).replace(tzinfo=UTC)

    assert not schedule.comes(START, at - SECOND)
    assert schedule.comes(START, at)
    assert schedule.comes(START, at + timedelta(hours=1))


@pytest.mark.parametrize(
    ("expression", "day", "due"),
    [
        ("0 0 0 1 1 *", "2027-01-01", True),
        ("0 0 0 1 1 *", "2027-01-02", False),
        ("0 0 0 29 2 *", "2028-02-29", True),
        ("0 0 0 29 2 *", "2027-03-01", False),
        ("0 0 0 31 2 *", "2027-03-01", False),
    ],
)
def test_time_comes_on_its_day_alone(expression: str, day: str, *, due: bool) -> None:
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)

    assert Schedule(expression).comes(at - 60 * SECOND, at + 60 * SECOND) is due


def test_times_follow_one_another_without_gap_or_repetition_however_often_is_looked() -> None:
    schedule = Schedule("*/20 * * * * *")
    looks = [datetime(2026, 12, 31, 23, 59, tzinfo=UTC) + number * timedelta(seconds=0.7) for number in range(300)]
    came = [later for before, later in pairwise(looks) if schedule.comes(before, later)]

    assert len(came) == 10
    assert {moment.second // 20 * 20 for moment in came} == {0, 20, 40}


@pytest.mark.parametrize(
    "expression",
    [
        *("", "* * * * *", "* * * * * * *", "60 * * * * *", "* * * 0 * *", "* * * * 13 *", "* * * * * 7"),
        *("5-2 * * * * *", "*/0 * * * * *", "a * * * * *", "1,,2 * * * * *", "@hourly", "01:00:00", "%EVERY%"),
    ],
)
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    with pytest.raises(UnsupportedError, match="Schedule"):
        Schedule(expression)


async def test_run_by_hand_begins_at_once() -> None:
    worker = Mock(call=AsyncMock(return_value=None))
    timer = Timer(Function(name="purge", id="1", trigger={"schedule": "0 0 0 1 1 *"}), worker)
    running = asyncio.create_task(timer.run())
    await asyncio.sleep(0)
    timer.fire()
    timer.fire()
    for _ in range(10):  # steps of the loop, which take no time
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait((running,))
    assert worker.call.await_count == 2
