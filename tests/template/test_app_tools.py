"""Rules for the samples: every tool is described for a model and for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
