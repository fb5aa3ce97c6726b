"""The client of Entra ID's token endpoint, which lets only tokens of admitted accounts in.

Entra ID signs in whoever the registration admits, which with `organizations` is anybody's employee. What this server
does not admit ends at the sign-in: nothing of it is stored, and the client hears why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

from fastmcp.server.auth.oauth_proxy.upstream import AsyncOAuth2Client

from entra_mcp.errors import EntraMcpError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from entra_mcp.auth.verifier import EntraTokenVerifier

TIMEOUT_SECONDS = 10.0


class SignInRefusedError(EntraMcpError):
    """Entra ID signed a person in whom this server does not admit."""


class EntraOAuthClient(AsyncOAuth2Client):
    """Redeems authorization codes and refresh tokens at Entra ID."""

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: SecretStr,
        verifier: EntraTokenVerifier,
        on_refusal: Callable[[], None],
    ) -> None:
        super().__init__(client_id=client_id, client_secret=client_secret.get_secret_value(), timeout=TIMEOUT_SECONDS)
        self._verifier = verifier
        self._on_refusal = on_refusal

    @override
    async def fetch_token(self, url: str, *, grant_type: str = "authorization_code", **params: Any) -> dict[str, Any]:
        """Redeems an authorization code and verifies the access token that comes for it.

        Raises:
            SignInRefusedError: the token is not one that this server accepts.
            SigningKeysError: it cannot be verified now.
        """
        tokens = await super().fetch_token(url, grant_type=grant_type, **params)
        if await self._verifier.verify_token(tokens.get("access_token", "")) is None:
            await self._verifier.check()
            self._on_refusal()
            raise SignInRefusedError("the account is not one that may sign in here")
        return tokens
