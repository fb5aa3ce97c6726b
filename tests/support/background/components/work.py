"""Tools that take their time in steps which a test can hold, count and break."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anyio import CancelScope
from fastmcp import Context  # noqa: TC002 - FastMCP reads the annotation
from fastmcp.exceptions import ToolError
from fastmcp.server.auth import require_roles
from fastmcp.tools import ToolResult, tool
from fastmcp.utilities.tasks import TaskConfig
from mcp.types import InputRequiredResult  # noqa: TC002 - FastMCP reads the annotation
from pydantic import BaseModel

from entra_mcp.downstream import Graph, GraphClient
from entra_mcp.toolkit import BackgroundTask, Caller, CurrentCaller, CurrentTask, answered, ask, can_ask

ids: list[str | None] = []
"""The task ids that a tool saw, run by run."""

starts: Counter[str] = Counter()
"""How often a tool began, by the name that a test gave its call."""

gates: dict[str, asyncio.Event] = {}
"""What a call waits for, by the same name."""


def reset() -> None:
    """Forgets what other tests have done."""
    starts.clear()
    gates.clear()
    ids.clear()


def hold(name: str) -> None:
    """Lets calls of that name wait until the gate is set."""
    gates[name] = asyncio.Event()


@tool(task=True)
async def work(context: Context, name: str, steps: int = 1) -> str:
    """Report each step, then wait for the gate of that name, if there is one."""
    # A test that has seen the start may put another gate there, for the next run.
    gate = gates.get(name)
    starts[name] += 1
    for step in range(1, steps + 1):
        await context.report_progress(step, steps, f"step {step}")
    if gate:
        await gate.wait()
    return f"{name} is done"


@tool(task=TaskConfig(mode="required"))
async def only_as_task(caller: Caller = CurrentCaller()) -> str:
    """Say who the caller is."""
    return caller.object_id


@tool(task=True)
async def own_scopes(caller: Caller = CurrentCaller()) -> list[str]:
    """Say what the caller may be asked for."""
    return sorted(caller.scopes)


@tool(task=True, auth=require_roles("Admin", extract=lambda claims: claims.get("roles", ())))
async def for_administrators() -> str:
    """Work for administrators alone."""
    return "done"


@tool(task=True)
async def note(name: str) -> None:
    """Write down in a file that this ran, and work for a moment."""
    with Path(os.environ["RECORD"]).open("a") as record:  # noqa: ASYNC230 - one short line
        record.write(f"{name}\n")
    await asyncio.sleep(2)


@tool(task=True)
async def take_steps(context: Context, steps: int, seconds_each: float) -> int:
    """Take some time for each step, and report it."""
    for step in range(1, steps + 1):
        await context.report_progress(step, steps, f"step {step}")
        await asyncio.sleep(seconds_each)
    return steps


@tool(task=True)
async def moment() -> float:
    """Say when this runs, in seconds since 1970."""
    return time.time()


@tool(task=True)
async def fail() -> str:
    """Fail."""
    raise ToolError("The room is taken.")


@tool(task=True)
async def large(size: int) -> str:
    """Return so many characters."""
    return os.urandom(size // 2).hex()


@tool(task=True)
async def letters(count: int) -> str:
    """Return so many letters that take more bytes in JSON than in UTF-8."""
    return "я" * count


@tool(task=True)
async def hoard(name: str, task: BackgroundTask = CurrentTask()) -> list[Any]:
    """Save a list, go on with it, and wait for the gate."""
    found = list(task.checkpoint or [])
    starts[name] += 1
    await task.save(found)
    found.append("not saved")
    await gates[name].wait()
    return [*(task.checkpoint or []), starts[name]]


@tool(task=True)
async def stepwise(name: str, steps: int, task: BackgroundTask = CurrentTask()) -> list[Any]:
    """Save a checkpoint after each step, and wait for the gate before each."""
    done = list(task.checkpoint or [])
    while len(done) < steps:
        starts[f"{name} {len(done)}"] += 1
        await gates[name].wait()
        gates[name].clear()
        done.append(len(done))
        await task.save(done)
    return done


@tool(task=True)
async def wait_until(name: str, moment: float, task: BackgroundTask = CurrentTask()) -> str:
    """Wait for a moment, in seconds since 1970."""
    starts[name] += 1
    await task.wait_until(datetime.fromtimestamp(moment, UTC))
    return f"{name} is over"


@tool(task=True)
async def flaky(name: str, failures: int, task: BackgroundTask = CurrentTask(retries=2)) -> str:
    """Fail so many times before it works; on purpose when the number is negative."""
    starts[name] += 1
    if failures < 0:
        raise ToolError("This never works.")
    if starts[name] <= failures:
        raise ConnectionError("This did not work.")
    return f"worked after {failures} failures"


@tool(task=True)
async def fail_after_each_step(steps: int, task: BackgroundTask = CurrentTask(retries=9)) -> int:
    """Save a checkpoint in each run and fail, until there were so many."""
    done = int(task.checkpoint or 0)
    if done < steps:
        await task.save(done + 1)
        raise ConnectionError("This did not work.")
    return done


@tool(task=True)
async def kill_the_process() -> None:
    """End the process that runs this, as a crash would."""
    os.kill(os.getpid(), signal.SIGKILL)


@tool(task=True)
async def mail_address(graph: GraphClient = Graph("User.Read")) -> str:
    """Look up the caller's address, on their behalf."""
    return str((await graph.get("/me"))["userPrincipalName"])


class Approval(BaseModel):
    """What the person is asked for."""

    approved: bool


@tool(task=True)
async def ask_first(context: Context, name: str) -> str | InputRequiredResult:
    """Ask for an approval before the work."""
    starts[name] += 1
    if not can_ask(context):
        return "cannot ask"
    if context.input_responses is None:
        return ask("approval", Approval, "May I?", state=name)
    answer = answered(context, "approval", Approval)
    return f"{context.request_state}: {answer.approved if answer else 'declined'}"


@tool(task=True)
async def charge(name: str, task: BackgroundTask = CurrentTask()) -> str:
    """Note the id, which an API would take as idempotency key, and wait for the gate."""
    ids.append(task.id)
    await gates[name].wait()
    return "charged"


@tool(task=True, output_schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
async def unfit() -> ToolResult:
    """Return something that does not fit the schema."""
    starts["unfit"] += 1
    return ToolResult(content="unfit", structured_content={"n": "no number"})


@tool(task=True)
async def verbose(context: Context, name: str, characters: int) -> str:
    """Report a long message, and wait for the gate."""
    await context.report_progress(1, 2, "y" * characters)
    starts[name] += 1
    await gates[name].wait()
    return "done"


@tool(task=True)
async def save_much(characters: int, task: BackgroundTask = CurrentTask()) -> str:
    """Save a checkpoint of that size."""
    starts["save_much"] += 1
    await task.save("x" * characters)
    return "saved"


@tool(task=True)
async def ask_with_state(context: Context, characters: int) -> str | InputRequiredResult:
    """Ask, with a state of that size."""
    starts["ask_with_state"] += 1
    if context.input_responses is None:
        return ask("approval", Approval, "May I?", state="s" * characters)
    return "done"


@tool(task=True)
async def ask_and_wait(
    context: Context, moment: float, task: BackgroundTask = CurrentTask()
) -> str | InputRequiredResult:
    """Ask, and then wait for a moment."""
    if context.input_responses is None:
        return ask("approval", Approval, "May I?", state="")
    await task.wait_until(datetime.fromtimestamp(moment, UTC))
    return "done"


@tool(task=True)
async def save_then_pay(name: str, stubborn: bool = False, task: BackgroundTask = CurrentTask()) -> None:
    """Count payments, each of which is written down before it is made, and wait for the gate after each."""
    with CancelScope(shield=stubborn):
        while True:
            await task.save(starts[name] + 1)
            starts[name] += 1
            await gates[name].wait()


@tool(task=True)
async def save_at_the_end(name: str, moment: float | None = None, task: BackgroundTask = CurrentTask()) -> str:
    """Wait for a moment, or for ever, and save how often this ran when that is broken off."""
    starts[name] += 1
    try:
        await (task.wait_until(datetime.fromtimestamp(moment, UTC)) if moment else asyncio.Event().wait())
    finally:
        with CancelScope(shield=True):
            await task.save(starts[name])
    return "done"
