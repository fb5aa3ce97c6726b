"""How many unfinished tasks one person may have, over several instances whose calls come at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from entra_mcp.storage.rows import collection_range
from entra_mcp.tasks.limits import Limits
from entra_mcp.tasks.parts import TaskParts
from entra_mcp.tasks.rows import TASKS, TaskRows
from tests.support.background.components import work
from tests.support.background.instance import Background, background
from tests.support.background.steps import until
from tests.support.fault_proxy import Fault, FaultProxy, fault_proxy
from tests.support.settings import working_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable

    from entra_mcp.tasks.rows import Stored, Task

LIMIT = Limits().per_caller


async def start(instance: Background) -> str | None:
    """Starts a task; returns its id, or None when the person has too many."""
    answer = await instance.start("work", name="one of many")
    if "taskId" in answer:
        return answer["taskId"]
    assert "unfinished tasks" in answer["content"][0]["text"]
    return None


async def rows(instance: Background) -> Counter[str]:
    """How many tasks are in the table, by status."""
    pages = instance.table.query(collection_range(TASKS), select=("T",))
    return Counter([row["T"] async for page in pages for row in page])


@asynccontextmanager
async def two_instances(azurite: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[tuple[Background, Background]]:
    settings, name = working_settings(monkeypatch), f"t{uuid4().hex}"
    async with background(settings, azurite, name=name) as first, background(settings, azurite, name=name) as second:
        yield first, second


def write_together(instances: Iterable[Background], *, parties: int) -> None:
    """Lets no instance write the row of a task before so many calls have come as far."""
    barrier = asyncio.Barrier(parties)

    def held(create: Callable[[Task], Awaitable[Stored]]) -> Callable[[Task], Awaitable[Stored]]:
        async def create_together(task: Task) -> Stored:
            await barrier.wait()
            return await create(task)

        return create_together

    for instance in instances:
        instance.rows.create = held(instance.rows.create)  # pyright: ignore[reportAttributeAccessIssue] - it only waits


@asynccontextmanager
async def proxied(
    azurite: str, monkeypatch: pytest.MonkeyPatch, *, limits: Limits
) -> AsyncGenerator[tuple[FaultProxy, Background]]:
    async with (
        fault_proxy(azurite) as (proxy, through),
        background(working_settings(monkeypatch), azurite, limits=limits, proxied=through) as instance,
    ):
        yield proxy, instance


async def test_calls_that_come_at_once_do_not_pass_the_limit(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_instances(azurite, monkeypatch) as instances:
        write_together(instances, parties=2 * LIMIT)
        started = await asyncio.gather(*(start(instances[number % 2]) for number in range(2 * LIMIT)))
        accepted = {task_id for task_id in started if task_id is not None}
        assert len(accepted) == LIMIT
        assert await rows(instances[0]) == {"working": LIMIT}, "one that was refused leaves nothing"
        for task_id in sorted(accepted)[:5]:
            await instances[0].ask("tasks/cancel", task_id)
        started = await asyncio.gather(*(start(instances[number % 2]) for number in range(2 * LIMIT)))
        assert sum(task_id is not None for task_id in started) == 5
        assert (await rows(instances[0]))["working"] == LIMIT


async def test_nobody_below_the_limit_is_refused(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many callers as there may be tasks, each with one task at a time, beside the others."""
    async with two_instances(azurite, monkeypatch) as instances:

        async def churn(instance: Background) -> None:
            for _ in range(4):
                task_id = await start(instance)
                assert task_id is not None
                await instance.ask("tasks/cancel", task_id)

        await asyncio.gather(*(churn(instances[number % 2]) for number in range(LIMIT)))


async def test_task_counts_once_when_the_answer_to_its_note_was_lost(
    azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxied(azurite, monkeypatch, limits=Limits(per_caller=4)) as (proxy, instance):
        first = await start(instance)
        assert await start(instance)
        proxy.break_next(Fault.LOSE_RESPONSE, method="PUT")
        assert await start(instance)
        assert proxy.faults == 1
        assert await start(instance)
        await instance.ask("tasks/cancel", first or "")
        assert await start(instance)
        assert await start(instance) is None


async def test_requests_to_the_table_of_a_call(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxied(azurite, monkeypatch, limits=Limits(per_caller=2)) as (proxy, instance):
        for expected in ({"POST": 2, "GET": 1}, {"POST": 1, "GET": 1, "PUT": 1}):
            proxy.requests.clear()
            assert await start(instance)
            assert proxy.requests == expected
        proxy.requests.clear()
        assert await start(instance) is None
        assert proxy.requests == {"POST": 1, "GET": 1 + 2, "DELETE": 1}


@pytest.mark.parametrize(
    "step",
    [(TaskRows, "create"), (TaskRows, "admit"), (TaskParts, "send")],
    ids=["writes its row", "counts it", "sends its message"],
)
@pytest.mark.parametrize("limits", [Limits(per_caller=1)])
async def test_client_that_goes_away_while_its_task_is_started_leaves_none(
    tasks: Background, monkeypatch: pytest.MonkeyPatch, step: tuple[type, str]
) -> None:
    """Storage does what it is asked, and its answer does not come."""
    done, reached = getattr(*step), asyncio.Event()

    async def unanswered(*arguments: object, **options: object) -> None:
        await done(*arguments, **options)
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(*step, unanswered)
        call = asyncio.create_task(start(tasks))
        await reached.wait()
        call.cancel()
        await asyncio.wait((call,))

    async def is_gone() -> bool:
        return not await rows(tasks)

    await until(is_gone)
    await tasks.deliver()
    assert not work.starts
    assert await start(tasks)
