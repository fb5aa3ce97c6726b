"""What ends a run of a task before the task: a dead process, a lost lease, a time that is over."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from entra_mcp.tasks.limits import Limits
from tests.support.background.components import work
from tests.support.background.instance import FAST, Background
from tests.support.background.steps import die, running, until, until_row

QUIET = Limits(heartbeat=3600, apart=0.0)
"""No run gives a sign of life."""


async def test_task_whose_run_died_runs_again_when_its_lease_is_over(tasks: Background) -> None:
    task_id, run = await running(tasks, "fragile")
    run.cancel()
    await asyncio.wait((run,))
    work.gates["fragile"].set()
    assert await tasks.deliver() == 0
    tasks.clock.advance(Limits().lease)
    assert await tasks.deliver() == 1
    done = await tasks.get(task_id)
    assert done["status"] == "completed"
    task = await tasks.task(task_id)
    assert (task.attempts, task.runs, work.starts["fragile"]) == ({"lost": 1}, 2, 2)


async def test_task_that_kills_its_process_too_often_fails(tasks: Background) -> None:
    created = await tasks.start("work", name="killer")
    work.hold("killer")
    for _ in range(Limits().deaths):
        run = asyncio.create_task(tasks.deliver())
        starts = work.starts["killer"]
        while work.starts["killer"] == starts:  # noqa: ASYNC110 - the tool runs on this loop
            await asyncio.sleep(0.005)
        await die(tasks, run)
    await tasks.deliver()
    done = await tasks.get(created["taskId"])
    assert (done["status"], work.starts["killer"]) == ("failed", Limits().deaths)
    assert "stopped too often" in done["error"]["message"]


async def test_deaths_count_from_the_last_new_checkpoint(tasks: Background) -> None:
    """Each run takes one step and dies."""
    steps = Limits().deaths + 2
    work.hold("steps")
    task_id = (await tasks.start("stepwise", name="steps", steps=steps))["taskId"]
    for step in range(1, steps):
        run = asyncio.create_task(tasks.deliver())
        work.gates["steps"].set()
        await until_row(tasks, task_id, lambda task, step=step: len(task.checkpoint or ()) == step)
        await die(tasks, run)
    work.gates["steps"].set()
    await tasks.deliver()
    result = (await tasks.get(task_id))["result"]
    assert json.loads(result["content"][0]["text"]) == list(range(steps))


async def test_checkpoint_that_is_no_new_one_is_no_progress(tasks: Background) -> None:
    """Each run saves the same and dies."""
    work.hold("hoard")
    task_id = (await tasks.start("hoard", name="hoard"))["taskId"]
    for death in range(Limits().deaths):
        run = asyncio.create_task(tasks.deliver())
        while work.starts["hoard"] == death:  # noqa: ASYNC110 - the tool runs on this loop
            await asyncio.sleep(0.005)
        before = (await tasks.task(task_id)).updated
        tasks.clock.advance(1)
        await until_row(tasks, task_id, lambda task, before=before: task.updated > before)
        await die(tasks, run)
    await tasks.deliver()
    done = await tasks.get(task_id)
    assert (done["status"], work.starts["hoard"]) == ("failed", Limits().deaths)


@pytest.mark.parametrize("limits", [QUIET])
async def test_run_that_lost_its_lease_does_not_end_the_task(tasks: Background) -> None:
    """Two runs of one task, the first of which gives no sign of life: one completion, by the second."""
    task_id, first = await running(tasks, "split")
    first_may_end = work.gates["split"]
    work.hold("split")
    tasks.clock.advance(Limits().lease + 1)
    second = asyncio.create_task(tasks.deliver())
    while work.starts["split"] < 2:  # noqa: ASYNC110 - the tool runs on this loop
        await asyncio.sleep(0.005)
    first_may_end.set()
    await first
    assert (await tasks.task(task_id)).status == "working"
    work.gates["split"].set()
    await second
    task = await tasks.task(task_id)
    assert (task.status, task.runs, task.attempts) == ("completed", 2, {"lost": 1})


async def test_checkpoint_is_what_was_saved_whatever_the_tool_does_with_it_later(tasks: Background) -> None:
    work.hold("hoard")
    task_id = (await tasks.start("hoard", name="hoard"))["taskId"]
    run = asyncio.create_task(tasks.deliver())
    saved = await until_row(tasks, task_id, lambda task: task.checkpoint is not None)
    tasks.clock.advance(1)
    renewed = await until_row(tasks, task_id, lambda task: task.updated > saved.updated)
    assert renewed.checkpoint == []
    work.gates["hoard"].set()
    await run


async def test_message_comes_again_as_long_as_the_run_lives(tasks: Background) -> None:
    task_id, run = await running(tasks, "lively")
    for _ in range(3):
        tasks.clock.advance(Limits().lease - 1)
        before = (await tasks.task(task_id)).lease
        await until_row(tasks, task_id, lambda task, before=before: task.lease > before)
        await tasks.deliver()
        assert len(tasks.delayed.waiting) == 1
    assert work.starts["lively"] == 1
    work.gates["lively"].set()
    await run
    assert (await tasks.task(task_id)).runs == 1


async def test_tool_that_waits_for_a_moment_holds_no_instance(tasks: Background) -> None:
    task_id = (await tasks.start("wait_until", name="nap", moment=tasks.clock() + 3600))["taskId"]
    assert await tasks.deliver() == 1
    tasks.clock.advance(Limits().lease)
    await tasks.deliver()
    assert (await tasks.get(task_id))["status"] == "working"
    tasks.clock.advance(3600 - Limits().lease - 1)
    await tasks.deliver()
    assert work.starts["nap"] == 1
    tasks.clock.advance(1)
    await tasks.deliver()
    assert (await tasks.get(task_id))["result"]["content"][0]["text"] == "nap is over"
    assert (await tasks.task(task_id)).runs == 2


async def test_tool_cannot_wait_for_longer_than_its_task_is_kept(tasks: Background) -> None:
    task_id = (await tasks.start("wait_until", name="ages", moment=tasks.clock() + Limits().keep))["taskId"]
    await tasks.deliver()
    done = (await tasks.get(task_id))["result"]
    assert done["isError"] is True
    assert "gone before" in done["content"][0]["text"]


async def test_tool_that_fails_runs_again_as_often_as_it_declares(tasks: Background) -> None:
    task_id = (await tasks.start("flaky", name="twice", failures=2))["taskId"]
    pauses: list[float] = []
    await tasks.deliver()
    while (await tasks.get(task_id))["status"] == "working":
        pauses.append((await tasks.task(task_id)).lease - tasks.clock())
        tasks.clock.advance(pauses[-1])
        await tasks.deliver()
    assert pauses == [Limits().backoff, Limits().backoff * 2]
    assert (await tasks.get(task_id))["result"]["content"][0]["text"] == "worked after 2 failures"


@pytest.mark.parametrize(("failures", "starts"), [(5, 3), (-1, 1)], ids=["too often", "on purpose"])
async def test_tool_that_fails_for_good_ends_its_task(tasks: Background, failures: int, starts: int) -> None:
    task_id = (await tasks.start("flaky", name="never", failures=failures))["taskId"]
    await tasks.deliver()
    while (await tasks.get(task_id))["status"] == "working":
        tasks.clock.advance(Limits().longest_backoff)
        await tasks.deliver()
    assert (await tasks.get(task_id))["result"]["isError"] is True
    assert work.starts["never"] == starts


async def test_poisoned_message_is_judged_by_its_row(tasks: Background) -> None:
    created = await tasks.start("work", name="harmless")
    (message,) = await tasks.messages()
    await tasks.runner.judge(message)
    assert (await tasks.get(created["taskId"]))["status"] == "working"
    assert (await tasks.task(created["taskId"])).attempts == {"refused": 1}
    assert len(tasks.delayed.waiting) == 1
    for _ in range(Limits().refused - 1):
        await tasks.runner.judge(message)
    assert (await tasks.get(created["taskId"]))["status"] == "failed"
    await tasks.runner.judge(message)


@pytest.mark.parametrize("limits", [Limits(run=1, heartbeat=0.1)])
async def test_tool_that_takes_too_long_ends_before_the_host_ends_the_process(tasks: Background) -> None:
    work.hold("long")
    created = await tasks.start("work", name="long")
    await tasks.deliver()
    done = await tasks.get(created["taskId"])
    assert done["status"] == "failed"
    assert "longer than 1 s" in done["error"]["message"]


@pytest.mark.parametrize("limits", [Limits(run=2, heartbeat=0.1)])
async def test_tool_goes_on_from_its_checkpoint_in_as_many_runs_as_it_needs(tasks: Background) -> None:
    work.hold("steps")
    created = await tasks.start("stepwise", name="steps", steps=3)
    for _ in range(3):
        work.gates["steps"].set()
        await until(tasks.deliver)
    done = await tasks.get(created["taskId"])
    assert done["result"]["content"][0]["text"] == "[0,1,2]"
    assert {name: count for name, count in work.starts.items() if count > 1} == {"steps 1": 2, "steps 2": 2}


@pytest.mark.parametrize("moment", [None, 3600.0], ids=["too long", "waits"])
@pytest.mark.parametrize("limits", [Limits(run=0.5, heartbeat=0.1)])
async def test_checkpoint_that_a_tool_saves_when_its_run_ends_is_kept(tasks: Background, moment: float | None) -> None:
    at = None if moment is None else tasks.clock() + moment
    task_id = (await tasks.start("save_at_the_end", name="late", moment=at))["taskId"]
    await tasks.deliver()
    task = await tasks.task(task_id)
    assert (task.status, task.checkpoint, task.error) == ("working", 1, None)
    tasks.clock.advance(moment or 0)
    await until(tasks.deliver)
    assert work.starts["late"] == 2


@pytest.mark.parametrize("limits", [QUIET])
@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "taken over"])
async def test_tool_that_cannot_save_any_more_goes_no_further(tasks: Background, cancelled: bool) -> None:
    work.hold("pay")
    task_id = (await tasks.start("save_then_pay", name="pay"))["taskId"]
    run = asyncio.create_task(tasks.deliver())
    while not work.starts["pay"]:  # noqa: ASYNC110 - the tool runs on this loop
        await asyncio.sleep(0.005)
    if cancelled:
        await tasks.ask("tasks/cancel", task_id)
    else:
        stored = await tasks.rows.read(task_id)
        assert stored is not None
        await tasks.rows.write(stored, replace(stored.task, turn="another"))
    left = await tasks.task(task_id)
    work.gates["pay"].set()
    await run
    assert work.starts["pay"] == 1
    assert await tasks.task(task_id) == left


@pytest.mark.parametrize("limits", [Limits(run=0.5, heartbeat=3600)])
async def test_tool_that_ignores_the_end_of_its_run_saves_nothing_any_more(
    tasks: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("entra_mcp.cancellation.CANCEL_SECONDS", 0.1)
    work.hold("pay")
    task_id = (await tasks.start("save_then_pay", name="pay", stubborn=True))["taskId"]
    await tasks.deliver()
    left = await tasks.task(task_id)
    assert (left.status, left.running, left.checkpoint) == ("working", False, 1)
    work.gates["pay"].set()
    await asyncio.sleep(0.5)
    assert work.starts["pay"] == 1
    assert await tasks.task(task_id) == left


def test_limits_fit_each_other() -> None:
    limits = Limits()
    assert limits.heartbeat * 2 < limits.lease
    assert FAST.lease == limits.lease
