"""The MCP server: what the app says of itself, its components, and what lets any instance serve any request."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from fastmcp import FastMCP
from key_value.aio.wrappers.ttl_clamp import TTLClampWrapper
from mcp.types import Icon

from entra_mcp import __version__
from entra_mcp.server.capabilities import TrueCapabilities
from entra_mcp.server.component_errors import ComponentErrors
from entra_mcp.server.components import add_components, find_components, has_interfaces
from entra_mcp.toolkit.icons import data_uri
from entra_mcp.toolkit.services import as_lifespan
from entra_mcp.web.time_limits import RequestTimeLimit

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from fastmcp.server.auth import AuthProvider
    from key_value.aio.protocols import AsyncKeyValue
    from mcp.server.request_state import RequestStateSecurity

    from entra_mcp.definition import Server
    from entra_mcp.settings import Settings

CACHE_SECONDS = 300
"""How long clients may keep lists and resources (protocol 2026-07-28): a new role shows in the lists after so long."""

PAGE_SIZE = 1_000
"""How many entries of a list one answer has. FastMCP looks at the cursor of a request only when lists have pages."""


def create_server(
    definition: Server[Any],
    settings: Settings,
    *,
    auth: AuthProvider | None,
    request_state: RequestStateSecurity,
    session_store: AsyncKeyValue,
    services: Iterable[object],
) -> FastMCP:
    """Returns the server with all that the app has.

    The request-state keys and the session store are shared by all instances, and the name is fixed: a conversation that
    spans several requests may meet another instance each time.

    Raises:
        ComponentsError: a module of the app is faulty.
    """
    components = find_components(definition.components)
    session_seconds = settings.session_days * 24 * 3600
    services = tuple(services)
    lifespan = as_lifespan(services)
    server = FastMCP(
        name=settings.server_name,
        version=__version__,
        instructions=definition.instructions,
        icons=[Icon(src=data_uri(definition.icon), mime_type="image/svg+xml", sizes=["any"])],
        website_url=settings.base_url,
        auth=auth,
        providers=definition.providers,
        # FastMCP enters a lifespan for each client in the same process; the services are opened once, by whoever calls.
        lifespan=lambda _: nullcontext(lifespan),
        mask_error_details=True,
        dereference_schemas=definition.dereference_schemas,
        # FastMCP gives the sessions of users no end of their own.
        session_state_store=TTLClampWrapper(
            session_store, min_ttl=1, max_ttl=session_seconds, missing_ttl=session_seconds
        ),
        request_state_security=request_state,
        # Private, for what is listed depends on the caller's roles.
        cache_ttl=CACHE_SECONDS,
        cache_scope="private",
        list_page_size=PAGE_SIZE,
    )
    # What a provider has is not known before it is asked.
    capabilities = TrueCapabilities(interfaces=bool(definition.providers) or has_interfaces(components))
    errors = ComponentErrors(server, completes=definition.complete is not None)
    for middleware in (RequestTimeLimit(), capabilities, errors, *definition.middleware):
        server.add_middleware(middleware)
    add_components(server, components, signs_in=settings.auth_mode.signs_in, services=services)
    if definition.complete is not None:
        server.completion(definition.complete)
    return server
