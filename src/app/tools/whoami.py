"""Who the server takes the caller for."""

from __future__ import annotations

from fastmcp.tools import tool
from mcp.types import ToolAnnotations

from entra_mcp.toolkit import Caller, CurrentCaller, glyph


@tool(
    icons=[glyph("M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8", "M4 21a8 8 0 0 1 16 0")],
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
)
async def whoami(caller: Caller = CurrentCaller()) -> Caller:
    """Show who you are signed in as: name, username, object id, tenant, scopes and roles."""
    return caller
