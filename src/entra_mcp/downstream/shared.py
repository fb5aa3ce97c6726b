"""What all calls share to reach other APIs: one pool of connections, one cache of tokens, one way to exchange them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx2
from fastmcp.exceptions import ToolError
from fastmcp.server.auth import MultiAuth
from fastmcp.server.auth.providers.azure import AzureProvider
from fastmcp.server.dependencies import get_access_token

from entra_mcp.auth.identity_assertions import ASSERTED_BY
from entra_mcp.downstream.cache import TokenCache
from entra_mcp.downstream.consent import consent_url
from entra_mcp.downstream.consent_question import address_is_open
from entra_mcp.downstream.tokens import DelegatedToken
from entra_mcp.http_client import http_client

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from fastmcp.server.auth import AuthProvider

    from entra_mcp.settings import Settings

TIMEOUT = httpx2.Timeout(10.0, connect=3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Downstream:
    """Opened once for each process; the dependencies of tools find it with `service`."""

    graph: httpx2.AsyncClient
    settings: Settings
    source: AzureProvider | None
    tokens: TokenCache = field(default_factory=TokenCache)

    def token(self, scopes: Sequence[str], *, api: str) -> DelegatedToken:
        """The current caller's token for an API.

        Raises:
            ToolError: nobody is signed in, or it is no person, or this server cannot act on their behalf.
        """
        caller = get_access_token()
        if caller is None:
            raise ToolError("This tool needs a signed-in caller.")
        if self.source is None:
            raise ToolError("This server only verifies tokens. It cannot act on your behalf at other APIs.")
        if "scp" not in caller.claims:
            raise ToolError("This tool acts for a person. You are an application that calls for itself.")
        if ASSERTED_BY in caller.claims:
            raise ToolError(
                "This tool acts for you at another API. Your client presented an identity assertion, "
                "which Microsoft Entra ID does not exchange. Let your client sign you in instead."
            )
        return DelegatedToken(
            assertion=caller.token,
            scopes=scopes,
            api=api,
            source=self.source,
            cache=self.tokens,
            consent_url=consent_url(self.settings, scopes),
            opened=address_is_open,
        )


@asynccontextmanager
async def open_downstream(settings: Settings, *, auth: AuthProvider | None) -> AsyncGenerator[Downstream]:
    """Yields what reaches the APIs of the settings, and closes it."""
    provider = auth.server if isinstance(auth, MultiAuth) else auth
    async with http_client(base_url=settings.graph_base_url, timeout=TIMEOUT) as graph:
        source = provider if isinstance(provider, AzureProvider) else None
        downstream = Downstream(graph=graph, settings=settings, source=source)
        try:
            yield downstream
        finally:
            await downstream.tokens.aclose()
