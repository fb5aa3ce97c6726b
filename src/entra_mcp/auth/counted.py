"""Counts sign-ins and refreshes where it is decided how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

from entra_mcp.auth.entra.upstream import EntraOAuthClient, SignInRefusedError
from entra_mcp.auth.single_use import SingleUse
from entra_mcp.telemetry.metrics import Grant, Metrics, Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server.auth.provider import RefreshToken
    from mcp.shared.auth import OAuthToken


class CountedSingleUse(SingleUse):
    """Counts what becomes of the codes and refresh tokens that clients present."""

    def __init__(self, *, metrics: Metrics, **options: Any) -> None:  # noqa: ANN401 - those of SingleUse
        super().__init__(**options)
        self._metrics = metrics

    @override
    async def redeem(self, code: str, exchange: Callable[[], Awaitable[OAuthToken]]) -> OAuthToken:
        with self._metrics.granting(Grant.SIGN_IN):
            return await super().redeem(code, exchange)

    @override
    async def accept(self, assertion: str, exchange: Callable[[], Awaitable[OAuthToken]]) -> OAuthToken:
        with self._metrics.granting(Grant.SIGN_IN):
            return await super().accept(assertion, exchange)

    @override
    async def rotate(
        self, token: RefreshToken, exchange: Callable[[], Awaitable[OAuthToken]], *, expires_in: float
    ) -> OAuthToken:
        with self._metrics.granting(Grant.REFRESH):
            return await super().rotate(token, exchange, expires_in=expires_in)


class CountedOAuthClient(EntraOAuthClient):
    """Counts the sign-ins that end at Entra ID, before there is a code for the client."""

    def __init__(self, *, metrics: Metrics, **options: Any) -> None:  # noqa: ANN401 - those of EntraOAuthClient
        super().__init__(**options)
        self._metrics = metrics

    @override
    async def fetch_token(
        self, url: str, *, grant_type: str = "authorization_code", **params: str | None
    ) -> dict[str, Any]:
        try:
            return await super().fetch_token(url, grant_type=grant_type, **params)
        except SignInRefusedError:
            self._metrics.granted(Grant.SIGN_IN, Outcome.REFUSED)
            raise
