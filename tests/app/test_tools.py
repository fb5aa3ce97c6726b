"""The tools over an in-memory client: results, bounds, progress and schemas."""

from __future__ import annotations

from typing import cast

import pytest
from fastmcp import Client, FastMCP
from fastmcp.decorators import get_fastmcp_meta
from fastmcp.exceptions import ToolError
from fastmcp.tools import Tool
from fastmcp.tools.function_tool import ToolMeta

from app.server import server as definition
from entra_mcp.server.components import find_components


async def test_every_tool_is_described(server: FastMCP) -> None:
    listed = {tool.name: tool for tool in await server.list_tools(run_middleware=False)}
    assert listed
    for tool in listed.values():
        assert tool.description
        assert tool.output_schema
        assert tool.icons
        assert tool.annotations
        assert tool.annotations.read_only_hint is not None
        assert tool.annotations.open_world_hint is not None


BOUNDS = {
    "string": [{"maxLength"}, {"format"}],
    "integer": [{"minimum", "maximum"}],
    "number": [{"minimum", "maximum"}],
    "array": [{"maxItems"}],
}
"""What bounds a value of each type of JSON schema; a list of what it may be always does."""


def unbounded(schema: object) -> list[object]:
    """The parts of a JSON schema that admit texts, numbers or lists without end."""
    if isinstance(schema, list):
        return [each for part in cast("list[object]", schema) for each in unbounded(part)]
    if not isinstance(schema, dict):
        return []
    parts = cast("dict[str, object]", schema)
    needed = BOUNDS.get(str(parts.get("type")))
    ends = needed is None or any(bounds <= parts.keys() for bounds in [*needed, {"enum"}, {"const"}])
    return [*([] if ends else [parts]), *(each for part in parts.values() for each in unbounded(part))]


def test_everything_that_a_tool_takes_is_bounded() -> None:
    for function in find_components(definition.components):
        if isinstance(get_fastmcp_meta(function), ToolMeta):
            assert unbounded(Tool.from_function(function).parameters) == [], function.__name__


async def test_size_of_the_list_of_tools_is_bounded(server: FastMCP) -> None:
    async with Client(server) as client:
        listed = await client.list_tools()
    assert sum(len(tool.model_dump_json(exclude_none=True)) for tool in listed) < 25_000


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
