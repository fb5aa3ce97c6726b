"""A process that runs task after task keeps nothing of those that ended."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from entra_mcp.tasks.limits import Limits
from tests.support.background.components import work
from tests.support.background.steps import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.background.instance import Background

ROUNDS = 3
"""Of seven tasks each."""
LOOKS = 20
"""How often to look again at what is left: a run that is busy elsewhere ends late."""
ENDS: dict[str, dict[str, Any]] = {
    "work": {"name": "done"},
    "fail": {},
    "flaky": {"name": "flaky", "failures": 1},
    "large": {"size": 500_000},
    "ask_first": {"name": "trip"},
}
"""Arguments of the tools."""
MODULES = ("entra_mcp.", "fastmcp.", "mcp.", "anyio.", "asyncio.locks.", "_asyncio.")


def alive() -> Counter[str]:
    """How many objects of our own classes there are, of those of the SDKs that run a task, and locks and tasks."""
    gc.collect()
    kinds: Iterator[type[object]] = map(type, gc.get_objects())
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
    return Counter(name for name in names if name.startswith(MODULES))


async def look() -> Counter[str]:
    """The same a little later: what was cancelled needs a while to end."""
    # The loop keeps cancelled timers, with all that their contexts hold, until there are over a hundred.
    for _ in range(1000):
        asyncio.get_running_loop().call_later(3600, work.reset).cancel()
    await asyncio.sleep(0.5)
    return alive()


async def run_all_kinds(tasks: Background) -> None:
    """Runs tasks that return, fail, are tried again, are large, ask, are cancelled while they run, and die."""
    for _ in range(ROUNDS):
        for tool, arguments in ENDS.items():
            work.starts.clear()
            task_id = (await tasks.start(tool, **arguments))["taskId"]
            await tasks.deliver()
            tasks.clock.advance(Limits().lease)
            await tasks.deliver()
            await tasks.ask("tasks/cancel", task_id)
        work.starts.clear()
        task_id, run = await running(tasks, "held")
        await tasks.ask("tasks/cancel", task_id)
        await run
        work.starts.clear()
        task_id, run = await running(tasks, "dead")
        run.cancel()
        await asyncio.wait((run,))
        await tasks.ask("tasks/cancel", task_id)
        work.reset()
        tasks.clock.advance(Limits().lease)
        await tasks.deliver()


@pytest.fixture
def quiet() -> Iterator[None]:
    """Writes no log, since pytest would keep each record, and with an error all that its frames hold."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
async def test_nothing_is_left_of_a_task(tasks: Background) -> None:
    await run_all_kinds(tasks)
    before, known = await look(), Counter[str]()
    while before != known:
        before, known = await look(), before
    await run_all_kinds(tasks)
    more = await look() - before
    for _ in range(LOOKS):
        more = more and await look() - before
    assert more == Counter()
