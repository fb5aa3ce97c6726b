"""What is logged while no invocation runs reaches the next one, where the host takes it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast, override

import pytest
from azure_functions_runtime import invocation_id_cv

from entra_mcp.functions.log_lines import KEPT_LINES, LogLines, belong_to_no_invocation, kept_lines_at_the_end

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextvars import ContextVar

logger = logging.getLogger("a library")


class Host(logging.Handler):
    """Takes a line as the host does: if its invocation runs."""

    def __init__(self) -> None:
        super().__init__()
        self.open: set[str] = set()
        self.taken: list[tuple[str, str]] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        invocation_id = str(invocation_id_cv.get())
        if invocation_id in self.open:
            self.taken.append((invocation_id, record.getMessage()))

    def lines(self) -> list[tuple[str, str]]:
        return [(invocation_id, line) for invocation_id, line in self.taken if "lines follow" not in line]


@pytest.fixture
def host() -> Generator[Host]:
    handler = Host()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def lines(host: Host) -> Generator[LogLines]:
    handler = LogLines()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


async def in_background(text: str, name: str = logger.name) -> None:
    belong_to_no_invocation()
    logging.getLogger(name).warning(text)


async def test_line_of_the_background_reaches_the_next_invocation_once(
    lines: LogLines, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await asyncio.create_task(in_background("the vault does not answer"))
    for invocation_id in ("1", "2"):
        host.open = {invocation_id}
        with lines.invocation(invocation_id):
            logger.warning("its own")

    assert host.lines() == [("1", "the vault does not answer"), ("1", "its own"), ("2", "its own")]
    assert host.taken[0][1].startswith("1 lines follow that were logged beside requests since ")


async def test_line_of_the_start_reaches_the_request_that_waited_for_it(lines: LogLines, host: Host) -> None:
    host.open = {"1"}
    with lines.invocation("1"):
        await asyncio.create_task(in_background("is up"))

    assert host.lines() == [("1", "is up")]


async def test_line_that_outlives_its_invocation_reaches_the_next(lines: LogLines, host: Host) -> None:
    go_on = asyncio.Event()

    async def outlives() -> None:
        await go_on.wait()
        logger.warning("late")

    host.open = {"1"}
    with lines.invocation("1"):
        task = asyncio.create_task(outlives())
    host.open = {"2"}
    go_on.set()
    await task
    with lines.invocation("2"):
        pass

    assert host.lines() == [("2", "late")]


@pytest.mark.parametrize("known", [None, "timer"], ids=["invocation unknown", "invocation set by the runtime"])
async def test_lines_of_another_function_are_left_alone(lines: LogLines, host: Host, known: str | None) -> None:
    cast("ContextVar[str | None]", invocation_id_cv).set(known)
    logger.warning("a timer's line, which the host has already")
    host.open = {"1"}
    with lines.invocation("1"):
        pass

    assert host.taken == []


async def test_lines_of_the_background_reach_a_function_without_requests(lines: LogLines, host: Host) -> None:
    await asyncio.create_task(in_background("is up"))
    cast("ContextVar[str | None]", invocation_id_cv).set("task")
    host.open = {"task"}
    with kept_lines_at_the_end():
        logger.warning("its own")

    assert host.lines() == [("task", "its own"), ("task", "is up")]


@pytest.mark.parametrize("name", ["azure.functions", "azure_functions_worker.dispatcher"])
async def test_lines_of_the_worker_are_not_kept(lines: LogLines, host: Host, name: str) -> None:
    await asyncio.create_task(in_background("the host takes it in any case", name))
    host.open = {"1"}
    with lines.invocation("1"):
        pass

    assert host.taken == []


async def test_newest_lines_are_kept_when_nobody_comes(lines: LogLines, host: Host) -> None:
    for number in range(KEPT_LINES + 1):
        await asyncio.create_task(in_background(f"line {number}"))
    host.open = {"1"}
    with lines.invocation("1"):
        pass

    assert len(host.lines()) == KEPT_LINES
    assert host.lines()[0] == ("1", "line 1")
