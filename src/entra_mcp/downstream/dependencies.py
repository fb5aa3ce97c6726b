"""The parameters with which a tool asks for another API; clients do not see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, override

from fastmcp.dependencies import Dependency

from entra_mcp.downstream.graph import API, BUDGET_SECONDS, GraphClient
from entra_mcp.downstream.shared import Downstream
from entra_mcp.toolkit.services import service

if TYPE_CHECKING:
    from collections.abc import Callable

    from entra_mcp.downstream.tokens import DelegatedToken


class OnBehalf[T](Dependency[T]):
    """What needs the caller's token for another API, which only a server at which people sign in can get."""

    def __init__(self, provide: Callable[[], T]) -> None:
        self._provide = provide

    @override
    async def __aenter__(self) -> T:
        return self._provide()


def Graph(*scopes: str, budget_seconds: float = BUDGET_SECONDS) -> GraphClient:  # noqa: N802 - written like FastMCP's own dependencies
    """Declares, as a parameter's default, that a tool needs Microsoft Graph with these delegated permissions.

    Name them as Graph does (`User.Read`): without a resource, Entra ID takes the Graph of its own cloud. People consent
    to them at sign-in when they are among `ENTRA_ADDITIONAL_SCOPES`, otherwise when a tool first needs them.
    """

    def client() -> GraphClient:
        downstream = service(Downstream)
        token = downstream.token(scopes, api=API)
        return GraphClient(http=downstream.graph, token=token, budget_seconds=budget_seconds)

    return cast("GraphClient", OnBehalf(client))


def OnBehalfOf(*scopes: str, api: str) -> DelegatedToken:  # noqa: N802 - as above
    """Declares that a tool needs the caller's token for another API, whose name for people is `api`."""
    return cast("DelegatedToken", OnBehalf(lambda: service(Downstream).token(scopes, api=api)))
