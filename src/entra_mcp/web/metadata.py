"""The other addresses at which clients look for the metadata.

RFC 8414 section 3.1 and RFC 9728 section 3.1 put the path of an issuer or resource behind the well-known name. Clients
that only know the address of `/mcp` try that, older ones the root, and some look for OpenID Connect's document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from entra_mcp.web.paths import MCP, WELL_KNOWN

if TYPE_CHECKING:
    from fastmcp.server.auth import AuthProvider

SERVER = f"{WELL_KNOWN}oauth-authorization-server"
RESOURCE = f"{WELL_KNOWN}oauth-protected-resource"
OPENID = f"{WELL_KNOWN}openid-configuration"

ALIASES = {
    SERVER: (f"{SERVER}{MCP}", OPENID, f"{OPENID}{MCP}"),
    f"{RESOURCE}{MCP}": (RESOURCE,),
}


def metadata_aliases(auth: AuthProvider) -> list[Route]:
    """Returns routes that serve the provider's own metadata documents at their other addresses."""
    return [
        Route(alias, route.endpoint, methods=list(route.methods or ()))
        for route in auth.get_well_known_routes(mcp_path=MCP)
        for alias in ALIASES.get(route.path, ())
    ]
