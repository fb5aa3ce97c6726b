"""Credentials that exchange a person's token for one of another API (on-behalf-of), kept while they are useful.

They ask the tenant that issued the person's token: `organizations` would answer for the home tenant of a guest, who is
somebody else there (https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/4606).
"""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import jwt
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import OnBehalfOfCredential
from cachetools import LRUCache

from entra_mcp.auth.entra.credential import ASSERTION, SECRET
from entra_mcp.auth.entra.refusals import error_number
from entra_mcp.azure_transport import azure_transport
from entra_mcp.errors import UpstreamUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.credentials import AccessToken

    from entra_mcp.auth.entra.app import EntraApp
    from entra_mcp.auth.entra.credential import ClientCredential

MAX_CREDENTIALS = 128
"""Credentials that are kept; each holds the tokens that it got."""

PROOF_REFUSED = frozenset(
    {70021, 700016, 700024, 700027, 700211, 700212, 700213, 7000215, 7000216, 7000217, 7000218, 7000222}
)
"""Numbers with which Entra ID refuses this server's proof, not the person."""

logger = logging.getLogger(__name__)


class OnBehalfOfCredentials:
    """One credential for each user's token and proof of this server, least recently used first out.

    All of them share connections, which keep no cookies. So one that is not kept any more still serves who uses it.
    """

    def __init__(self, *, app: EntraApp, proof: ClientCredential) -> None:
        self.proof = proof
        self._app = app
        # Without a limit: nobody waits for a connection that somebody else uses.
        self._transport = azure_transport(limit=0)
        self._kept: LRUCache[bytes, OnBehalfOfCredential] = LRUCache(MAX_CREDENTIALS)

    def of_person(self, user_assertion: str) -> PersonCredential:
        """Returns what exchanges a user's token, with this server's proof as it is at that moment."""
        return PersonCredential(self, user_assertion)

    def get(self, user_assertion: str, proof: Mapping[str, str]) -> OnBehalfOfCredential:
        """Returns the credential for a user's token and the parameters that prove who this server is."""
        key = sha256("\0".join([*sorted(proof.values()), user_assertion]).encode()).digest()
        found = self._kept.get(key)
        if found is None:
            # The token has been verified, and its tenant is one that may sign in.
            claims: dict[str, Any] = jwt.decode(user_assertion, options={"verify_signature": False})
            found = self._kept[key] = OnBehalfOfCredential(
                str(claims.get("tid") or self._app.tenant_id),
                self._app.client_id,
                client_secret=proof.get(SECRET),
                client_assertion_func=(lambda: proof[ASSERTION]) if ASSERTION in proof else None,
                user_assertion=user_assertion,
                authority=f"https://{self._app.authority}",
                transport=self._transport,
            )
        return found

    async def close(self) -> None:
        await self._transport.close()


class PersonCredential:
    """Exchanges one person's token."""

    def __init__(self, credentials: OnBehalfOfCredentials, user_assertion: str) -> None:
        self._credentials = credentials
        self._user_assertion = user_assertion

    async def get_token(self, *scopes: str, claims: str | None = None, enable_cae: bool = False) -> AccessToken:
        """Returns a token for the scopes; when this server's own proof is refused, it tries once with a newer one.

        Raises:
            ClientAuthenticationError: Entra ID refuses.
            DependencyError: this server's own proof cannot be had.
        """
        own = self._credentials.proof
        proof = await own.parameters()
        try:
            credential = self._credentials.get(self._user_assertion, proof)
            return await credential.get_token(*scopes, claims=claims, enable_cae=enable_cae)
        except ClientAuthenticationError as error:
            number = error_number(error.message)
            if number not in PROOF_REFUSED:
                raise
            if not await own.renew(refused=proof):
                logger.error("Entra ID refuses this server (AADSTS%d): see docs/errors.", number)  # noqa: TRY400 - the traceback would add nothing
                raise UpstreamUnavailableError(f"refuses this server (AADSTS{number})") from error
        credential = self._credentials.get(self._user_assertion, await own.parameters())
        return await credential.get_token(*scopes, claims=claims, enable_cae=enable_cae)
