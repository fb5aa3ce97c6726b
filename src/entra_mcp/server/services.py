"""What tools can ask for with `Service`: opened once for each process, before the first request."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from entra_mcp.definition import Startup
from entra_mcp.downstream import open_downstream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from azure.core.credentials_async import AsyncTokenCredential
    from fastmcp.server.auth import AuthProvider

    from entra_mcp.definition import Server
    from entra_mcp.settings import AppSettings, Settings


@asynccontextmanager
async def open_services(
    definition: Server[Any],
    *,
    settings: Settings,
    app_settings: AppSettings,
    auth: AuthProvider | None,
    identity: AsyncTokenCredential,
) -> AsyncGenerator[list[object]]:
    """Yields both kinds of settings, the access to other APIs, and what the app opens itself."""
    async with AsyncExitStack() as stack:
        services: list[object] = [settings, app_settings]
        services.append(await stack.enter_async_context(open_downstream(settings, auth=auth)))
        if definition.services is not None:
            startup = Startup(settings=app_settings, engine=settings, identity=identity)
            services += await stack.enter_async_context(definition.services(startup))
        yield services
