"""Who the server takes the caller for."""

from __future__ import annotations

from fastmcp.tools import tool
from mcp.types import ToolAnnotations

from entra_mcp.caller import Caller, CurrentCaller


@tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))
async def whoami(caller: Caller = CurrentCaller()) -> Caller:
    """Tell who you are signed in as: name, username, object id, tenant, scopes and roles."""
    return caller
