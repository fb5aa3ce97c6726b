"""The parameters with which a tool asks for another API; clients do not see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, override

from fastmcp.dependencies import Dependency

from entra_mcp.downstream.graph import API, BUDGET_SECONDS, GraphClient
from entra_mcp.downstream.shared import Downstream
from entra_mcp.downstream.tokens import DelegatedToken
from entra_mcp.toolkit.services import service

if TYPE_CHECKING:
    from collections.abc import Sequence


def Graph(*scopes: str, budget_seconds: float = BUDGET_SECONDS) -> GraphClient:  # noqa: N802 - written like FastMCP's own dependencies
    """Declares, as a parameter's default, that a tool needs Microsoft Graph with these delegated permissions.

    Name them as Graph does (`User.Read`): without a resource, Entra ID takes the Graph of its own cloud. People consent
    to them at sign-in when they are among `ENTRA_ADDITIONAL_SCOPES`, otherwise when a tool first needs them.
    """
    return cast("GraphClient", _Graph(scopes, budget_seconds))


def OnBehalfOf(*scopes: str, api: str) -> DelegatedToken:  # noqa: N802 - as above
    """Declares that a tool needs the caller's token for another API, whose name for people is `api`."""
    return cast("DelegatedToken", _OnBehalfOf(scopes, api))


class OnBehalf[T](Dependency[T]):
    """What needs the caller's token for another API, which only a server at which people sign in can get."""


class _Graph(OnBehalf[GraphClient]):
    def __init__(self, scopes: Sequence[str], budget_seconds: float) -> None:
        self._scopes = scopes
        self._budget_seconds = budget_seconds

    @override
    async def __aenter__(self) -> GraphClient:
        downstream = service(Downstream)
        token = downstream.token(self._scopes, api=API)
        return GraphClient(http=downstream.graph, token=token, budget_seconds=self._budget_seconds)


class _OnBehalfOf(OnBehalf[DelegatedToken]):
    def __init__(self, scopes: Sequence[str], api: str) -> None:
        self._scopes = scopes
        self._api = api

    @override
    async def __aenter__(self) -> DelegatedToken:
        return service(Downstream).token(self._scopes, api=self._api)
