"""Credentials that exchange a person's token for one of another API (on-behalf-of), kept while they are useful.

They ask the tenant that issued the person's token: `organizations` would answer for the home tenant of a guest, who is
somebody else there (https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/4606).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import jwt
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import OnBehalfOfCredential

from entra_mcp.auth.entra.credential import ASSERTION, SECRET
from entra_mcp.errors import UpstreamUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.credentials import AccessToken

    from entra_mcp.auth.entra.credential import ClientCredential

CLOSE_SECONDS = 5.0

MAX_CREDENTIALS = 128
"""Credentials that are kept; each holds the tokens that it got."""

CREDENTIAL_CODES = re.compile(r"AADSTS(700021[5-8]|7000222|700016|700024|700027|70021[1-3]?)\b")
"""Entra ID refuses this server's proof, not the person."""

logger = logging.getLogger(__name__)


class OnBehalfOfCredentials:
    """One credential for each user's token and proof of this server, least recently used first out."""

    def __init__(self, *, tenant_id: str, client_id: str, authority: str, credential: ClientCredential) -> None:
        self._registered_tenant = tenant_id
        self._client_id = client_id
        self._authority = authority
        self._credential = credential
        self._kept: OrderedDict[bytes, _Shared] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    def get(self, user_assertion: str) -> PersonCredential:
        """Returns what exchanges a user's token, with this server's proof as it is at that moment."""
        return PersonCredential(self, user_assertion)

    async def get_token(
        self, user_assertion: str, *scopes: str, claims: str | None = None, enable_cae: bool = False
    ) -> AccessToken:
        """Exchanges the token; when this server's own proof is refused, looks for a newer one and tries once more."""
        proof = await self._credential.parameters()
        try:
            return await self._exchange(user_assertion, proof, *scopes, claims=claims, enable_cae=enable_cae)
        except ClientAuthenticationError as error:
            code = CREDENTIAL_CODES.search(error.message)
            if code is None:
                raise
            if not await self._credential.renew(refused=proof):
                logger.error("Entra ID refuses this server (%s): see docs/errors.", code[0])  # noqa: TRY400 - the traceback would add nothing
                raise UpstreamUnavailableError(f"refuses this server ({code[0]})") from error
        proof = await self._credential.parameters()
        return await self._exchange(user_assertion, proof, *scopes, claims=claims, enable_cae=enable_cae)

    async def close(self) -> None:
        while self._kept:
            _, shared = self._kept.popitem()
            self._close(shared)
        await asyncio.gather(*self._closing)

    async def _exchange(
        self, user_assertion: str, proof: Mapping[str, str], *scopes: str, claims: str | None, enable_cae: bool
    ) -> AccessToken:
        key = sha256("\0".join([*sorted(proof.values()), user_assertion]).encode()).digest()
        if key not in self._kept:
            self._kept[key] = _Shared(self._make(user_assertion, proof))
        shared = self._kept[key]
        self._kept.move_to_end(key)
        shared.users += 1
        try:
            return await shared.credential.get_token(*scopes, claims=claims, enable_cae=enable_cae)
        finally:
            shared.users -= 1
            # Nobody finds a credential any more when it is closed, so nobody uses it then and nobody closes it twice.
            while (idle := self._take_idle()) is not None:
                self._close(idle)

    def _make(self, user_assertion: str, proof: Mapping[str, str]) -> OnBehalfOfCredential:
        authority = f"https://{self._authority}"
        tenant_id = self._tenant_of(user_assertion)
        if SECRET in proof:
            return OnBehalfOfCredential(
                tenant_id,
                self._client_id,
                client_secret=proof[SECRET],
                user_assertion=user_assertion,
                authority=authority,
            )
        assertion = proof[ASSERTION]
        return OnBehalfOfCredential(
            tenant_id,
            self._client_id,
            client_assertion_func=lambda: assertion,
            user_assertion=user_assertion,
            authority=authority,
        )

    def _tenant_of(self, user_assertion: str) -> str:
        # The token has been verified, and its tenant is one that may sign in.
        claims: dict[str, Any] = jwt.decode(user_assertion, options={"verify_signature": False})
        return str(claims.get("tid") or self._registered_tenant)

    def _close(self, shared: _Shared) -> None:
        """Closes another person's credential beside the call, which has its token."""

        async def close() -> None:
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await shared.credential.close()
            except Exception as error:  # noqa: BLE001 - whatever becomes of its connections, nobody uses them any more
                logger.warning("A credential for other APIs did not close: %s", type(error).__name__)

        closing = asyncio.create_task(close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _take_idle(self) -> _Shared | None:
        """Takes out the one that was not used for longest, if there are too many and it is not in use."""
        if len(self._kept) <= MAX_CREDENTIALS:
            return None
        key = next((key for key, shared in self._kept.items() if not shared.users), None)
        return None if key is None else self._kept.pop(key)


class PersonCredential:
    """Exchanges one person's token."""

    def __init__(self, credentials: OnBehalfOfCredentials, user_assertion: str) -> None:
        self._credentials = credentials
        self._user_assertion = user_assertion

    async def get_token(self, *scopes: str, claims: str | None = None, enable_cae: bool = False) -> AccessToken:
        """Returns a token for the scopes.

        Raises:
            ClientAuthenticationError: Entra ID refuses.
            DependencyError: this server's own proof cannot be had.
        """
        return await self._credentials.get_token(self._user_assertion, *scopes, claims=claims, enable_cae=enable_cae)


class _Shared:
    """A credential and how many exchanges run on it; one that is in use is not closed."""

    def __init__(self, credential: OnBehalfOfCredential) -> None:
        self.credential = credential
        self.users = 0
