"""The tools: one module each. To add one, write a function in a module of its own and register it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entra_mcp.tools.add import add
from entra_mcp.tools.count_slowly import count_slowly
from entra_mcp.tools.graph_me import graph_me
from entra_mcp.tools.whoami import whoami

if TYPE_CHECKING:
    from fastmcp import FastMCP


INSTRUCTIONS = """\
Tools that act for the person who signed in with Microsoft Entra ID. Ask `whoami` who that is.
"""
"""What clients tell their model about the server as a whole."""

TOOLS = (add, count_slowly, whoami)
GRAPH_TOOLS = (graph_me,)


def register(server: FastMCP, *, on_behalf_of: bool) -> None:
    """Adds every tool to the server; those that act on the user's behalf at another API only where that is possible."""
    for tool in (*TOOLS, *(GRAPH_TOOLS if on_behalf_of else ())):
        server.add_tool(tool)
