"""Many tasks over several instances that die in the middle, on storage that fails: none is lost, none ends twice."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from entra_mcp.errors import StorageError
from entra_mcp.tasks.limits import Limits
from entra_mcp.tasks.rows import FINAL
from tests.support.background.components import work
from tests.support.background.instance import Background, background
from tests.support.fault_proxy import fault_proxy
from tests.support.settings import working_settings

if TYPE_CHECKING:
    from entra_mcp.tasks.rows import Stored, Task

LIMITS = Limits(heartbeat=0.1, per_caller=10_000, deaths=100, refused=100)
FAILING = 0.02
SPEED = 5
"""How much faster time passes for the server, so that a dead run is noticed within seconds."""


class Ends:
    """Counts the writes that ended a task, as the table took them."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def watch(self, instance: Background) -> None:
        write = instance.rows.write

        async def watched(stored: Stored, task: Task) -> Stored:
            written = await write(stored, task)
            if task.status in FINAL:
                self.of[task.id] += 1
            return written

        instance.rows.write = watched  # pyright: ignore[reportAttributeAccessIssue] - a listener, not another behaviour


async def worker(instance: Background, *, chance: random.Random, done: asyncio.Event) -> int:
    """Takes messages as the host does, and breaks a run off now and then, as a killed process would."""
    killed = 0
    while not done.is_set():
        messages = await instance.messages()
        runs = [asyncio.create_task(instance.runner.run(message)) for message in messages]
        for run in runs:
            if chance.random() < 0.1:
                await asyncio.sleep(chance.random() / 50)
                run.cancel()
                killed += 1
        for run, message in zip(runs, messages, strict=True):
            try:
                await run
            except (StorageError, asyncio.CancelledError):
                # The host brings the message of a run that failed or died again.
                await instance.queue.send_message(message.decode(), visibility_timeout=1)
        if not messages:
            await asyncio.sleep(0.02)
    return killed


async def read(instance: Background, task_id: str) -> Stored | None:
    """The task, or None when the table fails."""
    try:
        return await instance.rows.read(task_id)
    except StorageError:
        return None


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
async def test_no_task_is_lost_and_none_ends_twice(azurite: str, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    work.starts.clear()
    settings, name, ends, done = working_settings(monkeypatch), f"t{uuid4().hex}", Ends(), asyncio.Event()
    async with AsyncExitStack() as stack:
        proxy, proxied = await stack.enter_async_context(fault_proxy(azurite))
        instances = [
            await stack.enter_async_context(background(settings, azurite, limits=LIMITS, name=name, proxied=proxied))
            for _ in range(3)
        ]
        for instance in instances:
            ends.watch(instance)
            instance.clock.now = instances[0].clock.now
        proxy.failing = FAILING
        started: list[str] = []
        for number in range(count):
            answer = await instances[number % 3].start("work", name=f"task {number}")
            if "taskId" in answer:
                started.append(answer["taskId"])
        chance = random.Random(7)  # noqa: S311 - the same deaths in each run
        workers = [asyncio.create_task(worker(each, chance=chance, done=done)) for each in instances]
        left, base, began = set(started), instances[0].clock.now, time.monotonic()
        while left:
            for task_id in list(left):
                found = await read(instances[0], task_id)
                if found is not None and found.task.is_final:
                    left.discard(task_id)
            await asyncio.sleep(0.2)
            for instance in instances:
                instance.clock.now = base + SPEED * (time.monotonic() - began)
        done.set()
        killed = sum(await asyncio.gather(*workers))
        proxy.failing = 0
        tasks = [await instances[0].task(task_id) for task_id in started]
    assert {task.status for task in tasks} == {"completed"}
    assert max(ends.of.values()) == 1
    assert set(ends.of) <= set(started)
    assert proxy.faults > 0
    assert killed > 0
    assert sum(task.runs for task in tasks) >= count
