"""Tools that need a scope beyond those of every call (SEP-2350): `@tool(auth=require_scopes("Orders.Approve"))`.

FastMCP (4.2.3) hides such a tool from a caller who lacks the scope, and answers a call as if there were none. A client
could never learn what to ask for. Here it is in the list, and `web/step_up.py` names the scope when it is called. What
a call may do is still FastMCP's decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, override

from fastmcp.server.auth import AccessToken, AuthContext
from fastmcp.server.dependencies import get_access_token
from fastmcp.server.middleware import Middleware
from fastmcp.utilities.authorization import scope_requirements

from entra_mcp.errors import ComponentsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import mcp.types as mt
    from fastmcp import FastMCP
    from fastmcp.server.auth import AuthCheck
    from fastmcp.server.middleware import CallNext, MiddlewareContext
    from fastmcp.tools import Tool


async def offer_scoped_tools(server: FastMCP, *, offered: Sequence[str]) -> dict[str, Tool]:
    """Lists the tools that name a scope to callers who lack it, and returns these tools by name.

    Raises:
        ComponentsError: a tool names a scope that is not on offer, so that nobody could call it.
    """
    tools = {tool.name: tool for tool in await server.local_provider.list_tools() if needed_scopes(tool)}
    faults = [
        f"the tool {name} needs the scope {scope}: add it to ENTRA_OPTIONAL_SCOPES"
        for name, tool in tools.items()
        for scope in sorted(needed_scopes(tool).difference(offered))
    ]
    if faults:
        raise ComponentsError(faults)
    if tools:
        server.add_middleware(ListWithEveryScope(offered))
    return tools


def needed_scopes(tool: Tool) -> set[str]:
    """Returns the scopes that the tool names."""
    auth = cast("object", tool.auth)
    checks = cast("list[AuthCheck]", auth if isinstance(auth, list) else [auth] if auth else [])
    nobody = AuthContext(token=AccessToken(token="", client_id="", scopes=[]), component=tool)
    return {scope for check in checks for scope in scope_requirements(check, nobody) or ()}


class ListWithEveryScope(Middleware):
    """Lists tools as if the caller had every scope on offer; roles and other rules decide as they do elsewhere."""

    def __init__(self, offered: Sequence[str]) -> None:
        self._offered = tuple(offered)

    @override
    async def on_list_tools(
        self,
        context: MiddlewareContext[mt.ListToolsRequest],
        call_next: CallNext[mt.ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        # The token is that of this request alone, and a request has one message.
        token = get_access_token()
        if token is None:
            return await call_next(context)
        granted, token.scopes = token.scopes, [*token.scopes, *self._offered]
        try:
            return await call_next(context)
        finally:
            token.scopes = granted
