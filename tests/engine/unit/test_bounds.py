"""Everything that a tool of the app takes has an end: a client may send whatever the schema admits."""

from __future__ import annotations

from typing import cast

from fastmcp.decorators import get_fastmcp_meta
from fastmcp.tools import Tool
from fastmcp.tools.function_tool import ToolMeta

from app.server import server
from entra_mcp.server.components import find_components

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
    tools = [each for each in find_components(server.components) if isinstance(get_fastmcp_meta(each), ToolMeta)]
    found = {each.__name__: unbounded(Tool.from_function(each).parameters) for each in tools}
    assert {name: parts for name, parts in found.items() if parts} == {}
