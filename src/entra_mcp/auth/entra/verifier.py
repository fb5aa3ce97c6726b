"""Verifies access tokens of Entra ID.

Adds to signature, audience, scopes and expiry what the multi-tenant endpoints need: `organizations` has no fixed
issuer, so the issuer must be that of the tenant the token names, and the tenant may have to be on a list
(https://learn.microsoft.com/entra/identity-platform/claims-validation). Without it, anyone's tenant would do.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, override

import jwt
from cachetools import TLRUCache
from fastmcp.server.auth import AccessToken
from fastmcp.server.auth.providers.azure import AzureJWTVerifier
from fastmcp.server.auth.providers.jwt import JWTVerifier

from entra_mcp.auth.entra.public_keys import PublicKeys, SigningKeysError, fetched
from entra_mcp.urls import require_https

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

    from entra_mcp.auth.entra.app import EntraApp

PERSONAL_ACCOUNTS_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant in every token of a personal Microsoft account."""

LEEWAY_SECONDS = 60
"""How far the clocks of Entra ID and this machine may differ (RFC 7519 section 4.1.5)."""

MAX_REMEMBERED = 2000
"""Verified tokens; each takes some 3 kB."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Verified:
    """What a token says as JSON, without the token itself; when it expires; the key that it is signed with."""

    content: str
    expires_at: float
    key_id: str
    key: str


class KeptKeysVerifier(JWTVerifier):
    """A verifier with keys that serve through an outage of their issuer, and are fetched once for many callers."""

    public_keys: PublicKeys

    @override
    async def _get_jwks_key(self, kid: str | None) -> str:
        key = None if kid is None else await self.public_keys.get(kid)
        if key is None:
            raise ValueError("the token names a key that its issuer does not have")
        return key


class IssuerVerifier(KeptKeysVerifier):
    """A verifier for what an issuer signed whose OpenID Connect document says where the keys are."""

    def __init__(self, issuer: str, *, audience: str | list[str], http_client: httpx2.AsyncClient) -> None:
        document = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        super().__init__(jwks_uri=document, issuer=issuer, audience=audience)

        async def fetch() -> Mapping[str, Any]:
            found = await fetched(http_client, document)
            try:
                address = require_https(str(found.get("jwks_uri")))
            except ValueError as error:
                raise SigningKeysError(f"{document}: its jwks_uri {error}") from error
            # OpenID Connect Discovery 1.0 section 4.3.
            if found.get("issuer") != issuer:
                raise SigningKeysError(f"{document}: it is the document of another issuer")
            return await fetched(http_client, address)

        self.public_keys = PublicKeys(fetch=fetch)


class EntraTokenVerifier(KeptKeysVerifier, AzureJWTVerifier):
    """A verifier for one tenant, for `organizations`, or for `consumers`.

    A token is verified once; that is remembered until it expires, or its key is not one of Entra ID's any more. Threat:
    who reads this process's memory reads who was here within the life of a token, not their tokens.
    """

    def __init__(
        self,
        app: EntraApp,
        *,
        required_scopes: list[str],
        http_client: httpx2.AsyncClient,
        public_keys: PublicKeys | None = None,
    ) -> None:
        """Takes the keys of another verifier, so that both fetch them once."""
        super().__init__(
            client_id=app.client_id,
            tenant_id=app.tenant_id,
            required_scopes=required_scopes,
            identifier_uri=app.identifier_uri,
            base_authority=app.authority,
        )
        self.app = app
        self._http = http_client
        self.public_keys = public_keys or PublicKeys(fetch=self._fetch_key_set)
        self._remembered: TLRUCache[bytes, _Verified] = TLRUCache(
            MAX_REMEMBERED, ttu=lambda _digest, known, _now: known.expires_at, timer=time.time
        )
        match app.tenant_id:
            case "organizations":
                self._tenants: frozenset[str] | None = frozenset(app.allowed_tenants) or None
                self._refused_tenants = frozenset({PERSONAL_ACCOUNTS_TENANT})
            case "consumers":
                self._tenants, self._refused_tenants = frozenset({PERSONAL_ACCOUNTS_TENANT}), frozenset[str]()
            case _:
                self._tenants, self._refused_tenants = frozenset({app.tenant_id}), frozenset[str]()

    @override
    async def load_access_token(self, token: str) -> AccessToken | None:
        """Returns the verified token, or None when it is not one that this server accepts.

        Raises:
            SigningKeysError: it cannot be verified now.
        """
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._remembered.get(digest)
        if known is not None and await self.public_keys.get(known.key_id) == known.key:
            # Another one each time: a tool may change what it is given.
            return AccessToken(token=token, **json.loads(known.content))
        verified = await self._verified(token)
        if verified is not None:
            key_id = str(jwt.get_unverified_header(token).get("kid"))
            content = json.dumps(verified.model_dump(exclude={"token"}))
            key = self.public_keys.keys[key_id]
            self._remembered[digest] = _Verified(content, verified.expires_at or 0, key_id, key)
        return verified

    async def _verified(self, token: str) -> AccessToken | None:
        try:
            verified = await super().load_access_token(token)
        except RecursionError:  # lists in lists are decoded before the signature is looked at
            return None
        if verified is None:
            return None
        claims = verified.claims
        tenant, issuer = claims.get("tid"), claims.get("iss")
        if not _is_current(claims):
            logger.warning("Token refused: it has no expiry, or is not valid yet.")
            return None
        if not all(isinstance(claims.get(name), str) and claims[name] for name in ("oid", "sub")):
            logger.warning("Token refused: it names no object of the directory, or no subject.")
            return None
        if (fault := self.fault_of_caller(claims)) is not None:
            logger.warning("Token refused: %s.", fault)
            return None
        if not isinstance(tenant, str) or issuer != self.app.issuer(tenant):
            logger.warning("Token refused: issuer %r is not that of its tenant %r.", issuer, tenant)
            return None
        if tenant in self._refused_tenants or (self._tenants is not None and tenant not in self._tenants):
            logger.warning("Token refused: its tenant %r is not one that may sign in here.", tenant)
            return None
        return verified

    def fault_of_caller(self, claims: Mapping[str, Any]) -> str | None:
        """Returns what is wrong with whom the token was issued to, for the log; None when they may call."""
        return "it was issued to an application, not to a person" if claims.get("idtyp") == "app" else None

    async def check(self) -> None:
        """Fetches the public keys of Entra ID.

        Raises:
            SigningKeysError: they cannot be fetched, or there are none.
        """
        if not (await self._fetch_key_set()).get("keys"):
            raise SigningKeysError(f"{self.jwks_uri}: no keys")

    async def _fetch_key_set(self) -> Mapping[str, Any]:
        return await fetched(self._http, f"{self.jwks_uri}")


def _is_current(claims: Mapping[str, Any]) -> bool:
    """Whether the token says until when it is valid, and is valid already; that it has not expired is known."""
    latest_start = time.time() + LEEWAY_SECONDS
    starts = [claims[name] for name in ("nbf", "iat") if name in claims]
    return "exp" in claims and all(isinstance(start, int | float) and start <= latest_start for start in starts)
