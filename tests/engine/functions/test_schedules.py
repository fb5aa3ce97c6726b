"""Schedules mean what they mean in Azure Functions (NCRONTAB)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from local.host.errors import ScheduleError
from local.host.messages import Function
from local.host.schedules import Schedule
from local.host.timers import Timer, run_timer, timers_of

START = "2026-03-14 10:20:30"  # a Saturday


def timer(schedule: str, **more: object) -> Function:
    return Function(name="t", id="t", bindings=[{"type": "timerTrigger", "name": "t", "schedule": schedule, **more}])


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("* * * * * *", START, "2026-03-14 10:20:31"),
        ("0 */5 * * * *", START, "2026-03-14 10:25:00"),
        ("*/5 * * * *", START, "2026-03-14 10:25:00"),
        ("0 0 * * * *", START, "2026-03-14 11:00:00"),
        ("30 20 10 * * *", START, "2026-03-15 10:20:30"),
        ("0 0 */2 * * *", START, "2026-03-14 12:00:00"),
        ("0 30 9 * * 1-5", START, "2026-03-16 09:30:00"),
        ("0 30 9 * * mon-fri", START, "2026-03-16 09:30:00"),
        ("0 30 9 * Jan Monday", START, "2027-01-04 09:30:00"),
        ("0 0 9-17 * * *", START, "2026-03-14 11:00:00"),
        ("0 0 9-17/4 * * *", START, "2026-03-14 13:00:00"),
        ("0 0 5,8,10 * * *", START, "2026-03-15 05:00:00"),
        ("0 10/20 * * * *", START, "2026-03-14 10:30:00"),
        ("0 0 0 1 1 *", START, "2027-01-01 00:00:00"),
        ("0 0 0 31 * *", START, "2026-03-31 00:00:00"),
        ("0 0 0 13 * 5", START, "2026-11-13 00:00:00"),  # both day and day of week, not either
        ("0 0 0 29 2 *", START, "2028-02-29 00:00:00"),
        ("0 0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00"),
        ("59 59 23 31 12 *", "2026-12-31 23:59:59", "2027-12-31 23:59:59"),
    ],
)
def test_next_time_is_the_first_one_that_fits(expression: str, after: str, due: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)

    assert Schedule(expression).next_after(moment) == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_fraction_of_a_second_is_rounded_up() -> None:
    moment = datetime(2026, 1, 1, 0, 0, 0, 900_000, tzinfo=UTC)

    assert Schedule("* * * * * *").next_after(moment) == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_times_follow_one_another_without_gap_or_repetition() -> None:
    schedule = Schedule("*/20 * * * * *")
    times = [datetime(2026, 12, 31, 23, 59, 0, tzinfo=UTC)]
    for _ in range(30):
        times.append(schedule.next_after(times[-1]))

    assert {(later - earlier).total_seconds() for earlier, later in pairwise(times)} == {20}


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * *",
        "* * * * * * *",
        "60 * * * * *",
        "* 60 * * * *",
        "* * 24 * * *",
        "* * * 0 * *",
        "* * * 32 * *",
        "* * * * 13 *",
        "* * * * * 7",
        "5-2 * * * * *",
        "*/0 * * * * *",
        "-1 * * * * *",
        "a * * * * *",
        "1,,2 * * * * *",
        "* * * * Foo *",
        "0 0 0 30 2 *",
        "@hourly",
        "²  * * * * *",
    ],
)
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    with pytest.raises(ScheduleError, match="Schedule"):
        Schedule(expression)


@pytest.mark.parametrize("expression", ["00:00:00", "00:00:30", "01:00:00", "24:00:00", "1.00:00:00", "1:00"])
def test_time_span_is_refused_and_told_what_to_write(expression: str) -> None:
    with pytest.raises(ScheduleError, match="NCRONTAB expression"):
        Schedule(expression)


def test_schedule_may_come_from_a_setting() -> None:
    (found,) = timers_of([timer("%EVERY%", runOnStartup=True)], {"EVERY": "0 0 * * * *"})

    assert found.run_on_startup
    with pytest.raises(ScheduleError, match="EVERY"):
        timers_of([timer("%EVERY%")], {})


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
    async with asyncio.timeout(10):
        while runs < 2:  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait((task,))

    assert most == 1
