"""The MCP server: its name, its instructions, its tools, and what lets any instance serve any request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastmcp import FastMCP
from key_value.aio.wrappers.ttl_clamp import TTLClampWrapper
from mcp.server.request_state import RequestStateSecurity
from mcp.types import Icon

from entra_mcp import __version__, completions, prompts, resources, tools
from entra_mcp.icon import ICON
from entra_mcp.server.lifespan import open_services
from entra_mcp.server.tool_calls import ToolCalls

if TYPE_CHECKING:
    from fastmcp.server.auth import AuthProvider
    from key_value.aio.protocols import AsyncKeyValue
    from mcp.server.request_state import RequestStateCodec

    from entra_mcp.settings import Settings

CACHE_SECONDS = 300
"""How long clients may keep lists and resources (protocol 2026-07-28): a new role shows in the lists after so long."""


def create_server(
    settings: Settings, *, auth: AuthProvider, request_state: RequestStateCodec, session_store: AsyncKeyValue
) -> FastMCP:
    """Returns the server with all its tools.

    The request-state keys and the session store are shared by all instances, and the name is fixed: a conversation that
    spans several requests may meet another instance each time.
    """
    session_seconds = settings.session_days * 24 * 3600
    server = FastMCP(
        name=settings.server_name,
        version=__version__,
        instructions=tools.INSTRUCTIONS,
        icons=[Icon(src=ICON, mime_type="image/svg+xml", sizes=["any"])],
        website_url=settings.base_url,
        auth=auth,
        lifespan=lambda _: open_services(settings, auth=auth),
        mask_error_details=True,
        # FastMCP gives the sessions of users no end of their own.
        session_state_store=TTLClampWrapper(
            session_store, min_ttl=1, max_ttl=session_seconds, missing_ttl=session_seconds
        ),
        request_state_security=RequestStateSecurity(codec=request_state),
        # Private, for what is listed depends on the caller's roles.
        cache_ttl=CACHE_SECONDS,
        cache_scope="private",
    )
    server.add_middleware(ToolCalls())
    tools.register(server, on_behalf_of=settings.auth_mode.signs_in)
    resources.register(server)
    prompts.register(server)
    completions.register(server)
    return server
