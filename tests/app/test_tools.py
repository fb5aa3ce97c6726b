"""The tools over an in-memory client: results and bounds."""

from __future__ import annotations

import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError


async def test_add(server: FastMCP) -> None:
    async with Client(server) as client:
        assert (await client.call_tool("add", {"a": 2, "b": 0.5})).data == 2.5


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("add", {"a": 1}),
        ("add", {"a": 1, "b": "x"}),
        ("add", {"a": 1, "b": "nan"}),
        ("add", {"a": 1, "b": "-inf"}),
        ("add", {"a": 1e308, "b": 1e308}),
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
