"""Tokens for other APIs, exchanged for the caller's own (the on-behalf-of flow).

Threat: the exchange turns whatever it is given into a token with the person's permissions; so it is given the token
that the server has verified for this very request, and nothing that comes from a tool's arguments.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError, ClientAuthenticationError

from entra_mcp.downstream.cache import Token, TokenKey
from entra_mcp.downstream.refusals import ConsentRequiredError, DownstreamBusyError, refusal_of
from entra_mcp.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastmcp.server.auth.providers.azure import AzureProvider

    from entra_mcp.downstream.cache import TokenCache

EXCHANGE_SECONDS = 10.0
"""azure-identity goes on trying for much longer than somebody waits for a tool."""

CONSENT_LOOKS, PAUSE_SECONDS = 9, 5.0
"""How often, and after which pause, Entra ID is asked again while a person may be at its page to consent."""

logger = logging.getLogger(__name__)


class DelegatedToken:
    """The caller's token for one API, acquired when it is first needed."""

    def __init__(
        self,
        *,
        assertion: str,
        scopes: Sequence[str],
        api: str,
        source: AzureProvider,
        cache: TokenCache,
        consent_url: str,
        opened: Callable[[str], bool] = lambda _question: False,
    ) -> None:
        """`opened` says whether the person has just opened the address that the question of that name had."""
        self._assertion = assertion
        self._scopes = tuple(scopes)
        self._api = api
        self._source = source
        self._cache = cache
        self._consent_url = consent_url
        self._key = TokenKey(hashlib.sha256(assertion.encode()).hexdigest(), self._scopes)
        self._opened = opened

    async def get(self) -> str:
        """Returns a token that is good for a while.

        Raises:
            ToolError: Entra ID did not give one; the message is meant for the client.
        """
        looks = 0
        while True:
            try:
                return await self._cache.get(self._key, self._exchange)
            except ConsentRequiredError as error:
                if looks == CONSENT_LOOKS or not self._opened(error.question):
                    raise
            looks += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def renew(self, refused: str, *, claims: str) -> str:
        """Returns another token in place of one that the API refused, with the claims (JSON) that the API demands.

        Raises:
            ToolError: Entra ID did not give one, as when it wants the person to sign in again first.
        """
        self._cache.drop(self._key, refused)
        return await self._cache.get(self._key, lambda: self._exchange(claims), claims=claims)

    async def _exchange(self, claims: str | None = None) -> Token:
        what = " ".join(self._scopes)
        try:
            async with asyncio.timeout(EXCHANGE_SECONDS):
                credential = await self._source.get_obo_credential(self._assertion)
                # With continuous access evaluation an API can refuse the token the moment the person is locked out;
                # that is a challenge, which `renew` takes to Entra ID.
                found = await credential.get_token(*self._scopes, claims=claims, enable_cae=True)
        except ClientAuthenticationError as error:
            logger.warning("The on-behalf-of exchange for %s failed: %s", what, error.message)
            raise refusal_of(
                error, api=self._api, scopes=self._scopes, consent_url=self._consent_url, question=self._key.question
            ) from error
        except (AzureError, DependencyError, TimeoutError) as error:
            logger.warning("Entra ID did not answer the on-behalf-of exchange for %s: %s", what, type(error).__name__)
            raise DownstreamBusyError(api="Microsoft Entra ID") from error
        return Token(found.token, found.expires_on)
