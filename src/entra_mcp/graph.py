"""Microsoft Graph on behalf of the caller, as a dependency of tools."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast, override

import httpx2
from azure.core.exceptions import ClientAuthenticationError
from fastmcp.dependencies import Dependency
from fastmcp.exceptions import ToolError
from fastmcp.server.auth.providers.azure import EntraOBOToken
from fastmcp.server.dependencies import get_context

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

TIMEOUT = httpx2.Timeout(10.0, connect=3.0)

_LIFESPAN_KEY = "graph"

logger = logging.getLogger(__name__)


class GraphClient:
    """Requests to Microsoft Graph with the caller's own permissions."""

    def __init__(self, *, http: httpx2.AsyncClient, token: str) -> None:
        self._http = http
        self._authorization = {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, *, select: Sequence[str] = ()) -> dict[str, Any]:
        """Returns the JSON object at a path such as `/me`, with the selected properties.

        Raises:
            ToolError: Graph refused or did not answer; the message is meant for the client.
        """
        parameters = {"$select": ",".join(select)} if select else {}
        try:
            response = await self._http.get(f"/v1.0{path}", params=parameters, headers=self._authorization)
        except httpx2.HTTPError as error:
            logger.warning("Microsoft Graph did not answer GET %s: %s", path, type(error).__name__)
            raise ToolError("Microsoft Graph did not answer. Try again in a moment.") from error
        if response.is_success:
            return cast("dict[str, Any]", response.json())
        logger.warning(
            "Microsoft Graph answered %d to GET %s, request-id %s",
            response.status_code,
            path,
            response.headers.get("request-id"),
        )
        raise ToolError(f"Microsoft Graph refused the request with status {response.status_code}.")


def Graph(*scopes: str) -> GraphClient:  # noqa: N802 - written like FastMCP's own dependencies
    """Declares, as a parameter's default, that a tool needs Microsoft Graph with these delegated permissions.

    Name them as Graph does (`User.Read`): without a resource, Entra ID takes the Graph of its own cloud. People consent
    to them at sign-in when they are among `ENTRA_ADDITIONAL_SCOPES`.
    """
    return cast("GraphClient", _Graph(scopes))


class _Graph(Dependency[GraphClient]):
    """Exchanges the caller's token for one for Graph (the on-behalf-of flow) when the tool is called."""

    def __init__(self, scopes: Sequence[str]) -> None:
        self._scopes = list(scopes)

    @override
    async def __aenter__(self) -> GraphClient:
        exchange = cast("Dependency[str]", EntraOBOToken(self._scopes))
        try:
            token = await exchange.__aenter__()
        except ClientAuthenticationError as error:
            logger.warning("The on-behalf-of exchange for %s failed: %s", " ".join(self._scopes), error.message)
            raise ToolError(
                f"Entra ID refused this server access to Microsoft Graph ({' '.join(self._scopes)}) on your behalf. "
                "Sign in again; if that does not help, your administrator has to consent to it."
            ) from error
        return GraphClient(http=get_context().lifespan_context[_LIFESPAN_KEY], token=token)


@asynccontextmanager
async def graph_lifespan(base_url: str) -> AsyncGenerator[dict[str, httpx2.AsyncClient]]:
    """Yields the part of the server's lifespan that `Graph` needs: one connection pool for all calls."""
    async with httpx2.AsyncClient(base_url=base_url, timeout=TIMEOUT) as http:
        yield {_LIFESPAN_KEY: http}
