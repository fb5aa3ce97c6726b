"""The server's table, for commands that look at its rows or delete them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, override

from azure.core.credentials_async import AsyncTokenCredential

from ops.environment import CONNECTION_STRING, STORAGE_ACCOUNT, TABLE_NAME

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

    from entra_mcp.storage.table import Table
    from ops.command import Context

DEFAULT_TABLE = "McpOAuthState"


def state_table(context: Context, credential: AsyncTokenCredential) -> Table:
    """The table of the environment, with its connection string or as whoever runs this."""
    from entra_mcp.storage.table import Table

    name = context.environment.get(TABLE_NAME, DEFAULT_TABLE)
    if context.environment.has(CONNECTION_STRING):
        return Table.from_connection_string(context.environment[CONNECTION_STRING], name=name)
    context.environment.require(STORAGE_ACCOUNT)
    endpoint = f"https://{context.environment[STORAGE_ACCOUNT]}.table.{context.services.cloud.storage_suffix}"
    return Table.from_identity(endpoint, name=name, credential=credential)


class AsyncCredential(AsyncTokenCredential):
    """A credential of the command line for the server's own code, which is asynchronous."""

    def __init__(self, credential: TokenCredential) -> None:
        self._credential = credential

    @override
    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return await asyncio.to_thread(self._credential.get_token, *scopes, **kwargs)
