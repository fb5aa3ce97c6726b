"""A client that knows no tasks: it waits for its call, and where that takes too long, it gets a handle and a tool."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from typing import Any

import pytest

from entra_mcp.tasks.limits import Limits
from entra_mcp.tasks.rows import MAX_BYTES
from tests.support.background.components import work
from tests.support.background.instance import FAST, Background
from tests.support.instances import ALICE, BOB
from tests.support.mcp import SESSIONLESS, refusal, result, structured, tool_call

PROTOCOLS = ["2025-06-18", "2025-11-25", SESSIONLESS]


@pytest.fixture
def limits() -> Limits:
    return replace(FAST, inline=0.5, looks=0)


async def fetch(tasks: Background, task_id: str, *, protocol: str = SESSIONLESS) -> dict[str, Any]:
    called = tool_call("task_result", {"task_id": task_id}, protocol=protocol, token=ALICE)
    return result(await tasks.http.post("/mcp", **called))


async def handed_over(tasks: Background, tool: str, *, protocol: str = SESSIONLESS, **arguments: object) -> str:
    """Calls a tool that takes too long; returns the id of the task that the call goes on as."""
    called = tool_call(tool, arguments, protocol=protocol, token=ALICE)
    answer = result(await tasks.http.post("/mcp", **called))
    found = re.search(r"task_result with the task_id (\S+) for", answer["content"][0]["text"])
    assert found is not None, answer
    return found[1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_call_that_takes_too_long_goes_on_and_its_result_is_fetched_with_a_tool(
    tasks: Background, protocol: str
) -> None:
    work.hold("long")
    task_id = await handed_over(tasks, "work", protocol=protocol, name="long")
    waits = await fetch(tasks, task_id, protocol=protocol)
    assert waits["content"][0]["text"].startswith("The task goes on")
    work.gates["long"].set()
    await tasks.deliver()
    done = await fetch(tasks, task_id, protocol=protocol)
    assert done["structuredContent"] == {"result": "long is done"}
    assert done["content"] == [{"type": "text", "text": "long is done"}]
    assert done["isError"] is False
    assert work.starts["long"] == 2


async def test_what_was_saved_before_the_handover_is_there_after_it(tasks: Background) -> None:
    work.hold("steps")
    work.gates["steps"].set()
    task_id = await handed_over(tasks, "stepwise", name="steps", steps=2)
    work.gates["steps"].set()
    await tasks.deliver()
    done = await fetch(tasks, task_id)
    assert done["content"][0]["text"] == "[0,1]"
    assert (work.starts["steps 0"], work.starts["steps 1"]) == (1, 2)


async def test_call_that_waits_for_a_moment_goes_on_as_a_task(tasks: Background) -> None:
    tasks.clock.now = time.time()  # what the tool goes by until it is a task
    moment = tasks.clock() + 3600
    task_id = await handed_over(tasks, "wait_until", name="nap", moment=moment)
    await tasks.deliver()
    assert (await tasks.task(task_id)).lease == pytest.approx(moment)


async def test_error_of_the_tool_is_the_error_of_the_tool_that_fetches_it(tasks: Background) -> None:
    failed = await tasks.start("fail")
    await tasks.deliver()
    done = await fetch(tasks, failed["taskId"])
    assert (done["isError"], done["content"][0]["text"]) == (True, "The room is taken.")


@pytest.mark.parametrize(
    ("tool", "end", "told"),
    [
        ("work", "tasks/cancel", "The task was cancelled."),
        ("ask_first", None, "waits for an answer that this client cannot give"),
    ],
)
async def test_task_without_a_result_says_why(tasks: Background, tool: str, end: str | None, told: str) -> None:
    task_id = (await tasks.start(tool, name="x"))["taskId"]
    if end is not None:
        await tasks.ask(end, task_id)
    await tasks.deliver()
    asked = tool_call("task_result", {"task_id": task_id}, protocol=SESSIONLESS, token=ALICE)
    assert told in refusal(await tasks.http.post("/mcp", **asked))


async def test_result_is_nobody_elses(tasks: Background) -> None:
    task_id = (await tasks.start("work", name="mine"))["taskId"]
    await tasks.deliver()
    asked = tool_call("task_result", {"task_id": task_id}, protocol=SESSIONLESS, token=BOB)
    assert "no such task" in refusal(await tasks.http.post("/mcp", **asked))


async def test_task_has_the_id_that_the_tool_saw_while_its_client_waited(tasks: Background) -> None:
    work.hold("pay")
    task_id = await handed_over(tasks, "charge", protocol="2025-11-25", name="pay")
    work.gates["pay"].set()
    await tasks.deliver()
    assert work.ids == [task_id, task_id]


@pytest.mark.parametrize("characters", [800_000, MAX_BYTES - 100], ids=["alone", "beside the rest of the row"])
async def test_checkpoint_that_is_too_large_is_an_error_of_the_tool_while_its_client_waits(
    tasks: Background, characters: int
) -> None:
    called = tool_call("save_much", {"characters": characters}, protocol="2025-11-25", token=ALICE)
    answer = result(await tasks.http.post("/mcp", **called))
    assert answer["isError"] is True
    assert "more than a row takes" in answer["content"][0]["text"]


@pytest.mark.parametrize("protocol", ["2025-11-25", SESSIONLESS])
async def test_call_that_is_too_large_for_a_task_takes_as_long_as_it_needs(tasks: Background, protocol: str) -> None:
    name = "x" * Limits().arguments
    work.hold(name)
    called = tool_call("work", {"name": name}, protocol=protocol, token=ALICE)
    call = asyncio.create_task(tasks.http.post("/mcp", **called))
    await asyncio.sleep(1)
    work.gates[name].set()
    assert structured(await call) == {"result": f"{name} is done"}
    assert await tasks.messages() == []


async def test_call_that_is_too_large_for_a_task_stands_for_none(tasks: Background) -> None:
    name = "x" * Limits().arguments
    work.hold(name)
    work.gates[name].set()
    await tasks.http.post("/mcp", **tool_call("charge", {"name": name}, token=ALICE))
    assert work.ids == [None]
