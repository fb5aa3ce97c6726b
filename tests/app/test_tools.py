"""The tools over an in-memory client: results, bounds, progress and schemas."""

from __future__ import annotations

import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError


async def test_dependencies_are_not_parameters(server: FastMCP) -> None:
    async with Client(server) as client:
        listed = {tool.name: tool for tool in await client.list_tools()}
    assert listed["whoami"].input_schema.get("properties", {}) == {}
    assert listed["graph_me"].input_schema.get("properties", {}) == {}
    assert set(listed["count_slowly"].input_schema["properties"]) == {"to", "seconds_each"}


async def test_add(server: FastMCP) -> None:
    async with Client(server) as client:
        assert (await client.call_tool("add", {"a": 2, "b": 0.5})).data == 2.5


async def test_count_slowly_reports_every_step(server: FastMCP) -> None:
    steps: list[tuple[float, float | None]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        steps.append((progress, total))

    async with Client(server) as client:
        result = await client.call_tool("count_slowly", {"to": 3, "seconds_each": 0}, progress_handler=note)
    assert result.data == 3
    assert steps == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("add", {"a": 1}),
        ("add", {"a": 1, "b": "x"}),
        ("add", {"a": 1, "b": "nan"}),
        ("add", {"a": 1, "b": "-inf"}),
        ("add", {"a": 1e308, "b": 1e308}),
        ("count_slowly", {"to": 0}),
        ("count_slowly", {"to": 101}),
        ("count_slowly", {"seconds_each": 6}),
        ("count_slowly", {"seconds_each": -1}),
        ("my_calendar", {"days": 0}),
        ("my_calendar", {"days": 32}),
        ("my_calendar", {"page_size": 51}),
        ("my_calendar", {"first_day": "9999-12-31"}),
        ("my_calendar", {"first_day": "tomorrow"}),
        ("my_calendar", {"cursor": "x" * 1001}),
    ],
    ids=str,
)
async def test_arguments_out_of_bounds_are_refused(server: FastMCP, tool: str, arguments: dict[str, object]) -> None:
    async with Client(server) as client:
        with pytest.raises(ToolError):
            await client.call_tool(tool, arguments)


@pytest.mark.parametrize("tool", ["whoami", "graph_me", "my_calendar", "recall"])
async def test_tool_that_needs_a_caller_without_one_fails(server: FastMCP, tool: str) -> None:
    async with Client(server) as client:
        with pytest.raises(ToolError):
            await client.call_tool(tool)
