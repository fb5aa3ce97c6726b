"""The MCP server: its name, its instructions, its tools, and what lets any instance serve any request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastmcp import FastMCP
from mcp.server.request_state import RequestStateSecurity
from mcp.types import Icon

from entra_mcp import tools
from entra_mcp.graph import graph_lifespan
from entra_mcp.icon import ICON

if TYPE_CHECKING:
    from fastmcp.server.auth import AuthProvider
    from key_value.aio.protocols import AsyncKeyValue
    from mcp.server.request_state import RequestStateCodec

    from entra_mcp.settings import Settings


def create_server(
    settings: Settings, *, auth: AuthProvider, request_state: RequestStateCodec, session_store: AsyncKeyValue
) -> FastMCP:
    """Returns the server with all its tools.

    The request-state keys and the session store are shared by all instances, and the name is fixed: a conversation that
    spans several requests may meet another instance each time.
    """
    server = FastMCP(
        name=settings.server_name,
        instructions=tools.INSTRUCTIONS,
        icons=[Icon(src=ICON, mime_type="image/svg+xml", sizes=["any"])],
        website_url=settings.base_url,
        auth=auth,
        lifespan=lambda _: graph_lifespan(settings.graph_base_url),
        mask_error_details=True,
        session_state_store=session_store,
        request_state_security=RequestStateSecurity(codec=request_state),
    )
    tools.register(server, on_behalf_of=settings.auth_mode.signs_in)
    return server
