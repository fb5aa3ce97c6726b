"""Instances of the server over HTTP in memory, which share nothing but what real ones share: keys and store."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier
from fastmcp.utilities.asgi_transport import StreamingASGITransport
from key_value.aio.stores.memory import MemoryStore

from entra_mcp.identity import azure_credential
from entra_mcp.server.components import task_tools
from entra_mcp.server.create import create_server
from entra_mcp.server.request_state import StateSecurity
from entra_mcp.server.services import open_services
from entra_mcp.server.tool_scopes import offer_scoped_tools
from entra_mcp.storage.encryption import RowCipher
from entra_mcp.storage.owners import OwnerMarks
from entra_mcp.storage.table import Table
from entra_mcp.tasks.callers import Callers
from entra_mcp.tasks.parts import TaskParts, add_tasks
from entra_mcp.tasks.queue import TaskQueue
from entra_mcp.tasks.rows import TaskRows
from entra_mcp.vault.keys import KeyRing, RootKey
from tests.support.app.server import SERVER
from tests.support.mcp import tool_call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from fastmcp import FastMCP
    from fastmcp.server.auth import AuthProvider

    from entra_mcp.definition import Server
    from entra_mcp.settings import Settings

    SignedIn = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]

RING = KeyRing((RootKey(version="old", material=bytes(range(32))),))

ALICE, BOB, ADMIN = "token-of-alice", "token-of-bob", "token-of-an-administrator"
PEOPLE = {
    token: {
        "client_id": "client",
        "sub": name,
        "name": name.title(),
        "oid": f"object-of-{name}",
        "tid": "tenant",
        "iss": "https://issuer.example",
        "scopes": ["access_as_user"],
        **({"roles": list(roles)} if roles else {}),
    }
    for token, name, roles in ((ALICE, "alice", ()), (BOB, "bob", ("Reader",)), (ADMIN, "admin", ("Reader", "Admin")))
}


@asynccontextmanager
async def instance(
    settings: Settings,
    *,
    keys: KeyRing = RING,
    store: MemoryStore | None = None,
    tools: Sequence[Callable[..., Any]] = (),
    definition: Server[Any] = SERVER,
) -> AsyncGenerator[httpx2.AsyncClient]:
    """One instance of the server with some more tools, as a process of its own would make it."""
    people = {**PEOPLE, ADMIN: {**PEOPLE[ADMIN], "scopes": list(settings.offered_scopes)}}
    auth = StaticTokenVerifier(people, required_scopes=["access_as_user"])
    async with served(settings, auth=auth, keys=keys, store=store, definition=definition) as server:
        for tool in tools:
            server.tool(tool)
        app = server.http_app(path="/mcp", stateless_http=True)
        transport = StreamingASGITransport(app)
        async with app.lifespan(app), httpx2.AsyncClient(transport=transport, base_url=settings.base_url) as http:
            yield http


DEVELOPMENT = "UseDevelopmentStorage=true"
"""A connection string that nothing connects with until it is used."""


@asynccontextmanager
async def served(
    settings: Settings,
    *,
    auth: AuthProvider | None = None,
    keys: KeyRing = RING,
    store: MemoryStore | None = None,
    definition: Server[Any] = SERVER,
    tasks: bool = True,
) -> AsyncGenerator[FastMCP]:
    """The server of a definition with its services opened; nobody is signed in unless `auth` says otherwise.

    Its tools for background tasks answer calls; no storage is there for tasks, which tests/support/background has.
    """
    async with (
        azure_credential(settings) as identity,
        open_services(
            definition, settings=settings, app_settings=definition.settings.load(), auth=auth, identity=identity
        ) as services,
    ):
        server = create_server(
            definition,
            settings.model_copy(update={"server_name": settings.server_name or definition.name}),
            auth=auth,
            request_state=StateSecurity(keys),
            session_store=store or MemoryStore(),
            services=services,
        )
        await offer_scoped_tools(server, offered=settings.offered_scopes)
        if tasks and (tools := await task_tools(server)):
            rows = TaskRows(
                table=Table.from_connection_string(DEVELOPMENT, name="none"),
                cipher=RowCipher(keys),
                marks=OwnerMarks(keys),
            )
            queue = TaskQueue.from_connection_string(DEVELOPMENT)
            add_tasks(server, TaskParts(rows=rows, queue=queue, callers=Callers(auth)), tools=tools)
        yield server


async def call(http: httpx2.AsyncClient, tool: str, *, token: str = ALICE, **arguments: object) -> httpx2.Response:
    """The answer to a call of a tool by the person with that token: Alice, unless another is given."""
    return await http.post("/mcp", **tool_call(tool, arguments, token=token))
