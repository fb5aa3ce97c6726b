"""The input schemas of the tools, found by name.

With the protocol 2026-07-28 the MCP library checks the `Mcp-Param-*` headers of each call against the schema of the
tool. Unless it can look the schema up, it lists all tools for it, which takes longer than the rest of the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastmcp.utilities.json_schema import dereference_refs

if TYPE_CHECKING:
    from fastmcp import FastMCP


async def remember_input_schemas(server: FastMCP) -> None:
    """Gives the server the schemas of the tools that it has now; the headers of one added later are not checked."""
    schemas: dict[str, dict[str, Any]] = {}
    for provider in server.providers:
        for name in {tool.name for tool in await provider.list_tools()} - schemas.keys():
            # Of several versions the newest is the one that is called.
            tool = await provider.get_tool(name)
            if tool is not None:
                schemas[name] = dereference_refs(tool.parameters)
    # FastMCP has no parameter for what its low-level server takes.
    server._mcp_server.get_tool_input_schema = schemas.get  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
