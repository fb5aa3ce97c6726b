"""One of the servers that are compared, as a process of its own, so that its time is measured alone.

`this server` is the whole application with everything switched on. The others are FastMCP's: without authentication,
and with its AzureProvider as it ships. All write their log, at INFO, to nowhere.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import signal
import sys
from base64 import urlsafe_b64encode
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bench.contestants import ALL, FUNCTIONS, NO_AUTH, OURS, STORAGE, TABLES
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from key_value.aio.protocols import AsyncKeyValue
    from starlette.types import ASGIApp, Receive, Scope, Send

FERNET_KEY = urlsafe_b64encode(bytes(32))
"""Of all instances of a server."""

TOOLS = 12
"""Of the stock servers: as many as the samples are."""

TASKS = "tasks of the event loop: "
"""How the line begins that says how many there are."""


@asynccontextmanager
async def own_app() -> AsyncGenerator[ASGIApp]:
    """Yields the whole application; the baselines are not to pay for importing it."""
    gc.disable()  # as function_app.py does
    from app.server import server
    from entra_mcp.app import running_app

    async with running_app(server) as app:
        yield app


@asynccontextmanager
async def stock_app(which: str) -> AsyncGenerator[ASGIApp]:
    """Yields FastMCP's server, with FastMCP's provider as its guide shows it unless it is to have none."""
    from fastmcp import FastMCP
    from fastmcp.server.auth.providers.azure import AzureProvider

    from entra_mcp.settings import Settings

    provider = None
    if which != NO_AUTH:
        settings = Settings.load()
        provider = AzureProvider(
            client_id=settings.client_id,
            client_secret=os.environ["BENCH_CLIENT_SECRET"],
            tenant_id=settings.tenant_id,
            required_scopes=list(settings.required_scopes),
            additional_authorize_scopes=list(settings.additional_scopes),
            base_authority=settings.authority,
            base_url=settings.base_url,
            client_storage=storage(which),
            jwt_signing_key="a key for this benchmark alone",
        )
        # Where the stand-in serves its sign-in page without TLS.
        provider._upstream_authorization_endpoint = settings.authorization_endpoint or ""  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no parameter
    server = FastMCP("Stock", auth=provider)

    async def add(a: float, b: float) -> float:
        """Add two numbers."""
        return a + b

    for name in ("add", *(f"add_{number}" for number in range(2, TOOLS + 1))):
        server.tool(add, name=name)
    app = server.http_app(path="/mcp", stateless_http=True)
    async with app.lifespan(app):
        yield buffered(app) if which == FUNCTIONS else app


def storage(which: str) -> AsyncKeyValue:
    """In memory, or in Table Storage as FastMCP's guide has it."""
    if which != TABLES:
        from key_value.aio.stores.memory import MemoryStore

        return MemoryStore()
    from cryptography.fernet import Fernet
    from key_value.aio.stores.azure_tables import AzureTablesStore
    from key_value.aio.wrappers.encryption import FernetEncryptionWrapper

    tables = AzureTablesStore(connection_string=os.environ[STORAGE], table_name="Stock")
    return FernetEncryptionWrapper(tables, fernet=Fernet(FERNET_KEY))


def buffered(app: ASGIApp) -> ASGIApp:
    """Leads calls through the middleware of AsgiFunctionApp; without the host and the worker around it.

    Sign-ins go past it: it keeps one of several cookies, so the consent page does not work behind it.
    """
    import azure.functions as func
    from starlette.requests import Request
    from starlette.responses import Response

    middleware = func.AsgiMiddleware(app)

    async def through(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/mcp":
            await app(scope, receive, send)
            return
        request = Request(scope, receive)
        invocation = func.HttpRequest(
            request.method, str(request.url), headers=dict(request.headers), body=await request.body()
        )
        answer = await middleware.handle_async(invocation)
        await Response(answer.get_body(), answer.status_code, dict(answer.headers))(scope, receive, send)

    return through


async def serve(which: str, *, port: int) -> None:
    """Serves until the process is asked to end, and reports on stdout when it is ready."""
    async with own_app() if which == OURS else stock_app(which) as app:
        fastmcp = logging.getLogger("fastmcp")
        fastmcp.handlers.clear()
        fastmcp.propagate = True
        logging.basicConfig(filename=os.devnull, level=logging.INFO, force=True)
        async with serving(app, port=port):
            loop, ending = asyncio.get_running_loop(), asyncio.Event()
            loop.add_signal_handler(signal.SIGTERM, ending.set)
            loop.add_signal_handler(signal.SIGUSR1, say_how_many_tasks)
            print(json.dumps({"ready": True}), flush=True)
            await ending.wait()


def say_how_many_tasks() -> None:
    """For `bench.day`, on stderr."""
    print(f"{TASKS}{len(asyncio.all_tasks())}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.server")
    parser.add_argument("which", choices=ALL)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.which, port=options.port))
