"""The tools over an in-memory client: results, bounds, progress and schemas."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.tools import Tool

from entra_mcp import tools
from entra_mcp.toolkit.caller import Caller


async def test_every_tool_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_API_URL", "https://orders.example")
    server = FastMCP("test")
    tools.register(server, on_behalf_of=True)
    listed = {tool.name: tool for tool in await server.list_tools(run_middleware=False)}
    everything = {tool.__name__ for tool in (*tools.TOOLS, *tools.GRAPH_TOOLS, *tools.ORDERS_TOOLS)}
    # In memory nobody has a role.
    assert set(listed) == everything - {"admin_stats"}
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
    for function in (*tools.TOOLS, *tools.GRAPH_TOOLS, *tools.ORDERS_TOOLS):
        assert unbounded(Tool.from_function(function).parameters) == [], function.__name__


async def test_size_of_the_list_of_tools_is_bounded(server: FastMCP) -> None:
    async with Client(server) as client:
        listed = await client.list_tools()
    assert sum(len(tool.model_dump_json(exclude_none=True)) for tool in listed) < 25_000


@pytest.mark.parametrize("folder", ["tools", "resources", "prompts"])
def test_what_a_fork_replaces_knows_neither_azure_nor_starlette(folder: str) -> None:
    for module in (Path(tools.__file__).parents[1] / folder).glob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) (\w+)", module.read_text("utf-8"), re.MULTILINE)
        assert not {"azure", "starlette"} & set(imported), module


async def test_dependencies_are_not_parameters(server: FastMCP) -> None:
    async with Client(server) as client:
        listed = {tool.name: tool for tool in await client.list_tools()}
    assert listed["whoami"].input_schema.get("properties", {}) == {}
    assert listed["graph_me"].input_schema.get("properties", {}) == {}
    assert set(listed["count_slowly"].input_schema["properties"]) == {"to", "seconds_each"}


async def test_tools_without_on_behalf_of_leave_graph_out() -> None:
    server = FastMCP("test")
    tools.register(server, on_behalf_of=False)
    async with Client(server) as client:
        assert "graph_me" not in {tool.name for tool in await client.list_tools()}


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


def test_caller_from_claims() -> None:
    caller = Caller.from_claims(
        {"oid": "o", "tid": "t", "name": "N", "preferred_username": "n@x", "scp": "a b", "roles": ["Admin"]}
    )
    assert caller == Caller(object_id="o", tenant_id="t", name="N", username="n@x", scopes=("a", "b"), roles=("Admin",))


def test_caller_from_claims_without_the_optional_ones() -> None:
    caller = Caller.from_claims({"oid": "o", "tid": "t", "scp": "a"})
    assert (caller.name, caller.username, caller.scopes, caller.roles) == (None, None, ("a",), ())


def test_caller_from_claims_of_an_application_has_its_id() -> None:
    caller = Caller.from_claims({"oid": "o", "tid": "t", "azp": "daemon", "roles": ["Run"]})
    assert (caller.application_id, caller.name, caller.scopes, caller.roles) == ("daemon", None, (), ("Run",))


def test_caller_from_claims_of_a_person_is_no_application() -> None:
    assert Caller.from_claims({"oid": "o", "tid": "t", "azp": "a client", "scp": "a"}).application_id is None
