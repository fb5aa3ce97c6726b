"""What runs of one task, their messages, and runs of other tasks do to each other."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext

from entra_mcp.errors import StorageError
from entra_mcp.storage.owners import OwnerMarks, delete_owned
from entra_mcp.tasks.limits import Limits
from entra_mcp.tasks.rows import RESULTS, Stored, Task, TaskChangedError, TaskRows
from entra_mcp.tasks.run import Run
from entra_mcp.toolkit.background import RUNNING
from tests.support.background.components import work
from tests.support.background.instance import background
from tests.support.background.steps import running, until, until_row
from tests.support.instances import ADMIN, ALICE, PEOPLE, RING
from tests.support.settings import working_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.background.instance import Background

QUIET = Limits(heartbeat=3600, apart=0.0)
"""No run gives a sign of life by itself."""


@pytest.mark.parametrize("lost", [0, Limits().deaths - 1], ids=["takes the task", "gives the task up"])
@pytest.mark.parametrize("by", ["run", "judge"])
@pytest.mark.parametrize("limits", [QUIET])
async def test_message_that_loses_to_a_late_sign_of_life_comes_again(
    tasks: Background, monkeypatch: pytest.MonkeyPatch, lost: int, by: str
) -> None:
    """The run that it took for dead renews its lease in that moment, and dies afterwards."""
    runs: list[Run] = []
    execute, write = Run.execute, TaskRows.write

    async def noted(run: Run) -> None:
        runs.append(run)
        await execute(run)

    async def racing(rows: TaskRows, stored: Stored, task: Task) -> Stored:
        if len(runs) == 1 and task.attempts.get("lost", 0) + task.attempts.get("refused", 0) > lost:
            (late,) = runs
            runs.append(late)
            await late.save(None)
        return await write(rows, stored, task)

    monkeypatch.setattr(Run, "execute", noted)
    task_id, first = await running(tasks, "victim")
    stored = await tasks.rows.read(task_id)
    assert stored is not None
    counted = replace(stored.task, attempts={"lost": lost, "refused": Limits().refused - 1 if lost else 0})
    runs[0]._stored = await tasks.rows.write(stored, counted)  # pyright: ignore[reportPrivateUsage] - as if it had died before
    monkeypatch.setattr(TaskRows, "write", racing)
    tasks.clock.advance(Limits().lease)
    for message in await tasks.messages():
        await getattr(tasks.runner, by)(message)
    assert (await tasks.task(task_id)).runs == 1
    assert (await tasks.task(task_id)).status == "working"
    first.cancel()
    await asyncio.wait((first,))
    work.gates["victim"].set()
    while not (await tasks.task(task_id)).is_final:
        assert tasks.delayed.waiting, "nothing would run the task again"
        tasks.clock.advance(Limits().lease)
        await tasks.deliver()


@pytest.mark.parametrize("limits", [Limits(heartbeat=3600, apart=3600, longest_backoff=3600)])
async def test_no_run_begins_while_a_task_waits_after_a_death(tasks: Background) -> None:
    task_id, first = await running(tasks, "once")
    first.cancel()
    await asyncio.wait((first,))
    tasks.clock.advance(Limits().lease)
    await tasks.deliver()
    task = await tasks.task(task_id)
    assert (task.running, task.runs, task.attempts) == (False, 1, {"lost": 1})
    assert 0 <= task.lease - tasks.clock() < 3600
    work.gates["once"].set()
    tasks.clock.advance(3600)
    await tasks.deliver()
    assert (await tasks.task(task_id)).status == "completed"


@pytest.mark.parametrize("limits", [Limits(heartbeat=3600)])
async def test_neighbour_of_a_task_that_kills_its_process_is_completed(tasks: Background) -> None:
    """Both are in one process, which dies whenever the first of them runs."""
    for name in ("killer", "harmless"):
        work.hold(name)
    killer = (await tasks.start("work", name="killer"))["taskId"]
    harmless = (await tasks.start("work", name="harmless"))["taskId"]
    both = asyncio.create_task(tasks.deliver())
    while not (work.starts["killer"] and work.starts["harmless"]):  # noqa: ASYNC110 - the tools run on this loop
        await asyncio.sleep(0.005)
    both.cancel()
    await asyncio.wait((both,))
    work.gates["harmless"].set()
    while not (await tasks.task(killer)).is_final:
        tasks.clock.advance(min(moment for moment, _ in tasks.delayed.waiting) - tasks.clock())
        deaths = work.starts["killer"]
        process = asyncio.create_task(tasks.deliver())
        while not process.done() and work.starts["killer"] == deaths:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        process.cancel()
        await asyncio.wait((process,))
    assert (await tasks.task(killer)).status == "failed"
    assert work.starts["killer"] == Limits().deaths
    assert (await tasks.task(harmless)).status == "completed"


@pytest.mark.parametrize("limits", [QUIET])
async def test_result_is_that_of_the_run_that_ended_the_task(
    tasks: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that it took the task from writes its own result later."""
    gate, writing = asyncio.Event(), asyncio.Event()
    write_result = TaskRows.write_result

    async def slow(rows: TaskRows, task: Task, result: bytes) -> int:
        if not writing.is_set():
            writing.set()
            await gate.wait()
        return await write_result(rows, task, result)

    monkeypatch.setattr(TaskRows, "write_result", slow)
    task_id = (await tasks.start("large", size=1_000_000))["taskId"]
    first = asyncio.create_task(tasks.deliver())
    await writing.wait()
    tasks.clock.advance(Limits().lease)
    await tasks.deliver()
    result = (await tasks.get(task_id))["result"]
    gate.set()
    await first
    assert (await tasks.get(task_id))["result"] == result
    parts = (await tasks.task(task_id)).parts
    owner = str(PEOPLE[ALICE]["oid"])
    deleting = delete_owned(tasks.table, marks=OwnerMarks(RING), owner=owner, collections=(RESULTS,))
    assert [deleted async for _, deleted in deleting][-1] == 2 * parts


async def test_end_is_written_though_the_row_cannot_be_looked_at_once(
    tasks: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id, run = await running(tasks, "end")
    write, read = TaskRows.write, TaskRows.read
    faults: list[Exception] = [TaskChangedError(), StorageError("once")]

    async def changed(rows: TaskRows, stored: Stored, task: Task) -> Stored:
        if task.is_final and len(faults) == 2:
            raise faults.pop(0)
        return await write(rows, stored, task)

    async def unreadable(rows: TaskRows, task_id: str) -> Stored | None:
        if len(faults) == 1:
            raise faults.pop()
        return await read(rows, task_id)

    monkeypatch.setattr(TaskRows, "write", changed)
    monkeypatch.setattr(TaskRows, "read", unreadable)
    work.gates["end"].set()
    await run
    task = await tasks.task(task_id)
    assert (task.status, task.runs, faults) == ("completed", 1, [])


async def test_result_is_written_once_the_table_is_back(tasks: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    write_result, faults = TaskRows.write_result, [StorageError("away")]

    async def away(rows: TaskRows, task: Task, result: bytes) -> int:
        if faults:
            raise faults.pop()
        return await write_result(rows, task, result)

    monkeypatch.setattr(TaskRows, "write_result", away)
    task_id = (await tasks.start("work", name="patient"))["taskId"]
    await tasks.deliver()
    task = await tasks.task(task_id)
    assert (task.status, work.starts["patient"], faults) == ("completed", 1, [])


async def test_task_whose_result_cannot_be_written_runs_again(
    tasks: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(rows: TaskRows, task: Task, result: bytes) -> int:
        raise StorageError("away")

    monkeypatch.setattr("entra_mcp.tasks.run.END_PAUSES", (0.0,))
    task_id = (await tasks.start("work", name="again"))["taskId"]
    with monkeypatch.context() as patch:
        patch.setattr(TaskRows, "write_result", away)
        with pytest.raises(StorageError):
            await tasks.deliver()
    assert (await tasks.task(task_id)).status == "working"
    tasks.clock.advance(Limits().lease)
    await tasks.deliver()
    assert (await tasks.task(task_id)).status == "completed"


async def test_update_of_a_task_that_has_not_begun_sends_nothing(tasks: Background) -> None:
    task_id = (await tasks.start("work", name="new"))["taskId"]
    await tasks.ask("tasks/update", task_id, inputResponses={})
    assert await tasks.deliver() == 1


async def test_poisoned_message_of_a_task_that_runs_does_it_no_harm(tasks: Background) -> None:
    task_id, run = await running(tasks, "alive")
    ((_, message),) = tasks.delayed.waiting
    for _ in range(Limits().refused):
        await tasks.runner.judge(b64encode(message))
    assert (await tasks.task(task_id)).attempts == {}
    work.gates["alive"].set()
    await run
    assert (await tasks.get(task_id))["status"] == "completed"


async def test_answers_to_a_task_that_waits_for_a_moment_send_nothing(tasks: Background) -> None:
    task_id = (await tasks.start("ask_and_wait", moment=tasks.clock() + 3600))["taskId"]
    await tasks.deliver()
    (question,) = (await tasks.get(task_id))["inputRequests"]
    answer = {question: {"action": "accept", "content": {"approved": True}}}
    await tasks.ask("tasks/update", task_id, inputResponses=answer)
    await tasks.deliver()
    assert (await tasks.task(task_id)).answers, "it waits with the answers"
    waiting = len(tasks.delayed.waiting)
    for _ in range(3):
        await tasks.ask("tasks/update", task_id, inputResponses={})
    assert await tasks.deliver() == 0
    assert len(tasks.delayed.waiting) == waiting


@pytest.mark.parametrize("limits", [Limits(run=0.5, heartbeat=0.1)])
async def test_checkpoint_that_is_no_new_one_does_not_let_a_run_take_too_long(tasks: Background) -> None:
    """The first run saves something new, and is followed by another one; that one saves the same."""
    work.hold("hoard")
    task_id = (await tasks.start("hoard", name="hoard"))["taskId"]
    for _ in range(2):
        await until(tasks.deliver)
    task = await tasks.task(task_id)
    assert (task.status, task.runs) == ("failed", 2)
    assert "without saving a checkpoint" in (task.error or {})["message"]


def end_the_sign_in(tasks: Background) -> None:
    del tasks.people[ADMIN]


def take_the_role(tasks: Background) -> None:
    tasks.people[ADMIN] = {**tasks.people[ADMIN], "roles": []}


@pytest.mark.parametrize(("happen", "told"), [(end_the_sign_in, "The sign-in"), (take_the_role, "for_administrators")])
async def test_task_whose_caller_may_not_run_it_any_more_fails_and_is_in_the_log(
    tasks: Background, caplog: pytest.LogCaptureFixture, happen: Callable[[Background], None], told: str
) -> None:
    """As no warning: an alert looks for those."""
    caplog.set_level(logging.INFO)
    task_id = (await tasks.start("for_administrators", token=ADMIN))["taskId"]
    happen(tasks)
    await tasks.deliver()
    task = await tasks.task(task_id)
    assert task.status == "failed"
    assert told in (task.error or {})["message"]
    (line,) = [each for each in caplog.records if "task of for_administrators was refused" in each.getMessage()]
    assert line.levelno == logging.INFO


async def test_result_that_does_not_fit_its_schema_is_the_clients_matter(tasks: Background) -> None:
    task_id = (await tasks.start("unfit"))["taskId"]
    await tasks.deliver()
    assert (await tasks.get(task_id))["result"]["structuredContent"] == {"n": "no number"}
    assert work.starts["unfit"] == 1


async def test_long_progress_message_is_cut_off(tasks: Background) -> None:
    work.hold("verbose")
    task_id = (await tasks.start("verbose", name="verbose", characters=800_000))["taskId"]
    run = asyncio.create_task(tasks.deliver())
    await until_row(tasks, task_id, lambda task: task.message is not None)
    assert len((await tasks.get(task_id))["statusMessage"]) == 1000
    work.gates["verbose"].set()
    await run
    assert (await tasks.get(task_id))["status"] == "completed"


async def test_checkpoint_that_is_too_large_is_an_error_of_the_tool(tasks: Background) -> None:
    task_id = (await tasks.start("save_much", characters=800_000))["taskId"]
    await tasks.deliver()
    result = (await tasks.get(task_id))["result"]
    assert result["isError"] is True
    assert "more than a row takes" in result["content"][0]["text"]


async def test_state_that_is_too_large_fails_the_task_at_once(tasks: Background) -> None:
    task_id = (await tasks.start("ask_with_state", characters=600_000))["taskId"]
    await tasks.deliver()
    done = await tasks.get(task_id)
    assert (done["status"], work.starts["ask_with_state"]) == ("failed", 1)
    assert "more than a row takes" in done["error"]["message"]


async def test_answers_that_are_too_large_for_the_task_are_refused(tasks: Background) -> None:
    task_id = (await tasks.start("ask_with_state", characters=500_000))["taskId"]
    await tasks.deliver()
    (question,) = (await tasks.get(task_id))["inputRequests"]
    answer = {question: {"action": "accept", "content": {"approved": "y" * 200_000}}}
    assert "too large" in (await tasks.ask("tasks/update", task_id, inputResponses=answer)).text
    assert (await tasks.task(task_id)).status == "input_required"


async def test_error_of_the_server_beside_the_tool_is_a_warning(
    tasks: Background, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Middleware):
        async def on_call_tool(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:  # noqa: ANN401 - as FastMCP has it
            if RUNNING.get() is not None:
                raise LookupError("nobody expects this")
            return await call_next(context)

    tasks.runner.server.add_middleware(Broken())
    task_id = (await tasks.start("work", name="beside"))["taskId"]
    await tasks.deliver()
    assert (await tasks.get(task_id))["status"] == "failed"
    assert "A background task of work failed" in caplog.text


async def test_error_outside_the_tool_fails_the_task_at_once(
    tasks: Background, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(rows: TaskRows, task: Task, result: bytes) -> int:
        raise LookupError("nobody expects this")

    monkeypatch.setattr(TaskRows, "write_result", broken)
    task_id = (await tasks.start("work", name="broken"))["taskId"]
    await tasks.deliver()
    done = await tasks.get(task_id)
    assert (done["status"], work.starts["broken"]) == ("failed", 1)
    assert "nobody expects this" in caplog.text


async def test_message_of_a_task_that_another_table_has_is_in_the_log(
    tasks: Background, azurite: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with background(working_settings(monkeypatch), azurite) as other:
        await other.start("work", name="theirs")
        for message in await other.messages():
            await tasks.runner.run(message)
    (line,) = [each for each in caplog.records if "another server uses this storage account" in each.getMessage()]
    assert line.levelno == logging.WARNING
    assert "background task of" not in line.getMessage(), "an alert looks for those"
