"""Rules for the samples: every tool is described for a model and for a person, and bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fastmcp.decorators import get_fastmcp_meta
from fastmcp.tools import Tool
from fastmcp.tools.function_tool import ToolMeta

from app.server import server
from entra_mcp.server.components import find_components

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLS = [each for each in find_components(server.components) if isinstance(get_fastmcp_meta(each), ToolMeta)]


def undescribed(function: Callable[..., Any]) -> list[str]:
    """What a tool does not say of itself."""
    meta = get_fastmcp_meta(function)
    annotations = meta.annotations if isinstance(meta, ToolMeta) else None
    told = {
        "description": Tool.from_function(function).description,
        "icons": isinstance(meta, ToolMeta) and meta.icons,
        "read_only_hint": annotations and annotations.read_only_hint is not None,
        "open_world_hint": annotations and annotations.open_world_hint is not None,
    }
    return [name for name, value in told.items() if not value]


def test_every_tool_is_described() -> None:
    assert {each.__name__: undescribed(each) for each in TOOLS if undescribed(each)} == {}


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
    found = {each.__name__: unbounded(Tool.from_function(each).parameters) for each in TOOLS}
    assert {name: parts for name, parts in found.items() if parts} == {}
