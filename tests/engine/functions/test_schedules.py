"""Schedules mean what they mean in Azure Functions (NCRONTAB), as far as this host knows them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from local.host.errors import UnsupportedError
from local.host.messages import Function
from local.host.timers import Schedule, Timer, run_timer, timers_of

START = datetime(2026, 3, 14, 10, 20, 30, tzinfo=UTC)  # a Saturday


def timer(schedule: str, **more: object) -> Function:
    return Function(name="t", id="t", bindings=[{"type": "timerTrigger", "name": "t", "schedule": schedule, **more}])


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
def test_next_time_is_the_first_one_that_fits(expression: str, due: str) -> None:
    schedule = Schedule(expression)

    assert schedule.next_after(START) == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_time_of_another_year_is_found() -> None:
    assert Schedule("0 0 0 1 1 *").next_after(START) == datetime(2027, 1, 1, tzinfo=UTC)
    assert Schedule("0 0 0 29 2 *").next_after(START) == datetime(2028, 2, 29, tzinfo=UTC)


def test_time_that_never_comes_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="never comes"):
        Schedule("0 0 0 31 2 *").next_after(START)


def test_times_follow_one_another_without_gap_or_repetition() -> None:
    schedule = Schedule("*/20 * * * * *")
    times = [datetime(2026, 12, 31, 23, 59, 0, tzinfo=UTC)]
    for _ in range(30):
        times.append(schedule.next_after(times[-1]))

    assert {(later - earlier).total_seconds() for earlier, later in pairwise(times)} == {20}


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


def test_timers_are_found_among_the_functions() -> None:
    (found,) = timers_of([timer("0 0 * * * *", runOnStartup=True)])

    assert found.run_on_startup


async def test_runs_of_a_slow_function_do_not_overlap() -> None:
    running = 0
    most = 0
    runs = 0

    async def fire(_: Function) -> None:
        nonlocal running, most, runs
        running += 1
        most = max(most, running)
        await asyncio.sleep(1.2)
        running -= 1
        runs += 1

    slow = Timer(function=timer("* * * * * *"), schedule=Schedule("* * * * * *"), run_on_startup=True)
    task = asyncio.create_task(run_timer(slow, fire))
    async with asyncio.timeout(60):
        while runs < 2:  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait((task,))

    assert most == 1
