"""What is opened once for each process and closed with it: all that a tool may ask for with `Service`."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from entra_mcp.downstream import open_downstream
from entra_mcp.samples.catalog import open_catalog
from entra_mcp.samples.orders import open_orders
from entra_mcp.toolkit.services import as_lifespan

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from fastmcp.server.auth import AuthProvider

    from entra_mcp.settings import Settings


@asynccontextmanager
async def open_services(settings: Settings, *, auth: AuthProvider | None) -> AsyncGenerator[dict[str, Any]]:
    """Yields them as the server's lifespan. A database client goes here too: opened, and added to the list."""
    async with AsyncExitStack() as stack:
        downstream = await stack.enter_async_context(open_downstream(settings, auth=auth))
        orders = await stack.enter_async_context(open_orders())
        catalog = await stack.enter_async_context(open_catalog())
        yield as_lifespan([settings, downstream, orders, catalog])
