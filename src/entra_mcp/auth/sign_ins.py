"""Whoever signed in, found again without a request of theirs: a background task runs long after its call."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastmcp.server.auth.oauth_proxy.models import UpstreamTokenSet
from fastmcp.server.auth.oauth_proxy.upstream import OAuthError
from mcp.server.auth.provider import TokenError

from entra_mcp.request import REQUEST
from entra_mcp.storage.collections import UPSTREAM_TOKENS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fastmcp.server.auth import AccessToken, TokenVerifier
    from key_value.aio.protocols import AsyncKeyValue

    from entra_mcp.auth.identity_assertions import IdentityAssertions


class SignIns:
    """The sign-ins at this server, by their ids."""

    def __init__(
        self,
        storage: AsyncKeyValue,
        verifier: TokenVerifier,
        assertions: IdentityAssertions | None,
        *,
        refresh: Callable[[UpstreamTokenSet], Awaitable[UpstreamTokenSet]],
    ) -> None:
        """`refresh` gets a new token set of Entra ID, and stores it."""
        self._storage = storage
        self._verifier = verifier
        self._assertions = assertions
        self._refresh = refresh

    def current(self) -> str | None:
        """Returns the id of the sign-in that the running request belongs to; None when it belongs to none."""
        request = REQUEST.get()
        bearer = request.bearer if request else None
        return str(bearer[1]["sid"]) if bearer else None

    async def caller(self, sign_in: str, *, seconds: float) -> AccessToken | None:
        """Returns a verified token of the sign-in, a new one of Entra ID unless it is good for so many seconds.

        It is None when the sign-in has ended.

        Raises:
            DependencyError: whether it has ended cannot be found out now.
        """
        stored = await self._storage.get(sign_in, collection=UPSTREAM_TOKENS)
        if stored is None:
            return None
        if self._assertions is not None and (asserted := self._assertions.caller(stored, token="")):
            return asserted
        found = UpstreamTokenSet.model_validate(stored)
        if found.refresh_token and found.expires_at < time.time() + seconds:
            try:
                found = await self._refresh(found)
            except (OAuthError, TokenError):
                return None
        return await self._verifier.verify_token(found.access_token)
