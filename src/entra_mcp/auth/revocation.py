"""The revocation endpoint (RFC 7009): a client that signs out ends its sign-in on every instance.

The SDK's handler looks an access token up through what it stands for, the token of Entra ID, which names another
client. Here the token itself shows whose it is. Whichever token is presented, the sign-in that it belongs to ends as a
whole.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.client_auth import AuthenticationError
from starlette.responses import Response

from entra_mcp.web.answers import NO_STORE, oauth_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server.auth.middleware.client_auth import ClientAuthenticator
    from starlette.requests import Request


class RevocationEndpoint:
    """Answers 200 to every client that may ask, also for a token that never was one (RFC 7009 section 2.2)."""

    def __init__(self, *, authenticator: ClientAuthenticator, revoke: Callable[[str, str], Awaitable[None]]) -> None:
        """`revoke` takes a token and the id of the client that presents it."""
        self._authenticator = authenticator
        self._revoke = revoke

    async def handle(self, request: Request) -> Response:
        try:
            client = await self._authenticator.authenticate_request(request)
        except AuthenticationError as error:
            return oauth_error(HTTPStatus.UNAUTHORIZED, "invalid_client", error.message, headers=NO_STORE)
        token = (await request.form()).get("token")
        if not isinstance(token, str) or not token:
            return oauth_error(
                HTTPStatus.BAD_REQUEST, "invalid_request", "The parameter `token` is missing.", headers=NO_STORE
            )
        await self._revoke(token, client.client_id or "")
        return Response(headers=NO_STORE)
