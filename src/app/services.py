"""What tools ask for with `Service`: opened once for each process, and closed with it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from app.samples.catalog import open_catalog
from app.samples.orders import OrdersApi
from entra_mcp.http_client import http_client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from app.settings import SampleSettings
    from entra_mcp.definition import Startup


@asynccontextmanager
async def open_services(startup: Startup[SampleSettings]) -> AsyncGenerator[list[object]]:
    """Yields a database, and the client of an API where the settings name one."""
    async with AsyncExitStack() as stack:
        services: list[object] = [await stack.enter_async_context(open_catalog())]
        if startup.settings.orders_api_url is not None:
            http = http_client(base_url=startup.settings.orders_api_url, timeout=10.0)
            services.append(OrdersApi(http=await stack.enter_async_context(http)))
        yield services
