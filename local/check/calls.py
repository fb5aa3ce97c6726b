"""Calls of tools, and the person's answers to what they ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.types import ElicitResult

if TYPE_CHECKING:
    from fastmcp import Client

ANSWERS = {"days": 3, "style": "food", "approved": True}
"""What the person fills into the forms of `plan_trip`."""


async def content(client: Client[Any], tool: str, **arguments: object) -> dict[str, Any]:
    """The structured content of a tool's answer."""
    result = await client.call_tool(tool, arguments)
    return result.structured_content or {}


async def fill_in(_message: str, _kind: object, params: Any, _context: object) -> ElicitResult:  # noqa: ANN401 - as FastMCP calls it
    """Fills a form in, or declines one with other fields."""
    fields: set[str] = set(params.requested_schema["properties"])
    if not fields <= ANSWERS.keys():
        return ElicitResult(action="decline")
    return ElicitResult(action="accept", content={name: ANSWERS[name] for name in fields})
