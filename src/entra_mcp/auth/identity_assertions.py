"""Identity assertions: a company's identity provider says who the person is, who need not sign in here (SEP-990).

The client presents such an assertion (ID-JAG) at the token endpoint (RFC 7523 section 2.1) and gets an access token for
some minutes, and no refresh token.

Threat: FastMCP's `AzureProvider(identity_assertion=)` (4.2.3) remembers in each process which assertions were used, and
which of their tokens were revoked. So every instance would take the same assertion once. Here FastMCP validates it, the
ledger decides who may use it, and the sign-in has a row as every other has, which a revocation deletes.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, cast, override

import jwt
from fastmcp.server.auth import AccessToken
from fastmcp.server.auth.identity_assertion import (
    IdentityAssertion,
    IdentityAssertionError,
    IdentityAssertionValidator,
)
from mcp.shared.auth import JWT_BEARER_GRANT_TYPE, OAuthToken
from starlette.responses import JSONResponse

from entra_mcp.auth.entra.verifier import IssuerVerifier
from entra_mcp.auth.parameters import RefusedRequestError, described, has_finite_times, required
from entra_mcp.auth.single_use import IDENTITY_ASSERTION
from entra_mcp.ownership import OWNER
from entra_mcp.storage.collections import UPSTREAM_TOKENS
from entra_mcp.web.answers import NO_STORE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx2
    from fastmcp.server.auth.jwt_issuer import JWTIssuer
    from key_value.aio.protocols import AsyncKeyValue
    from mcp.server.auth.middleware.client_auth import ClientAuthenticator
    from starlette.requests import Request
    from starlette.responses import Response

    from entra_mcp.auth.endpoints import Handle
    from entra_mcp.auth.entra.app import EntraApp
    from entra_mcp.auth.single_use import SingleUse
    from entra_mcp.settings import Settings

    Narrow = Callable[[Sequence[str]], list[str] | None]

LIFETIME_SECONDS = 300
"""Of the access token: when it ends, the client asks the identity provider for another assertion."""

ASSERTED = "identity-assertion"
"""The type of what a sign-in has in place of a token of Entra ID."""

ASSERTED_BY = "assertion_iss"
"""The claim of a caller that names who asserted the identity; no token of Entra ID has it."""

logger = logging.getLogger(__name__)


class IdentityAssertions:
    """Accepts assertions of the trusted issuers, for this server alone."""

    def __init__(
        self,
        *,
        settings: Settings,
        app: EntraApp,
        storage: AsyncKeyValue,
        single_use: SingleUse,
        http_client: httpx2.AsyncClient,
    ) -> None:
        """`storage` is that of FastMCP's proxy, which knows the running exchange."""
        config = IdentityAssertion(
            trusted_issuers=list(settings.identity_assertion_issuers), required_scopes=list(settings.required_scopes)
        )
        self._validator = _Validator(config, settings.base_url, http_client=http_client)
        self._resource = settings.mcp_url
        self._scopes = settings.offered_scopes
        self._required = set(settings.required_scopes)
        self._app = app
        self._storage = storage
        self._single_use = single_use

    def endpoint(
        self, authenticator: ClientAuthenticator, *, narrow: Narrow, issuer: JWTIssuer, otherwise: Handle
    ) -> Handle:
        """Returns the token endpoint with this grant; the other grants are for the handler `otherwise`.

        The SDK takes assertions from clients with a secret alone, which no client of this server has. FastMCP takes
        them from all, and answers 401 where RFC 6749 section 5.2 says 400.
        """

        async def handle(request: Request) -> Response:
            if (await request.form()).get("grant_type") != JWT_BEARER_GRANT_TYPE:
                return await otherwise(request)
            assertion = await required(request, "assertion")
            client = await authenticator.authenticate_request(request)
            tokens = await self._exchange(assertion, client_id=client.client_id or "", narrow=narrow, issuer=issuer)
            return JSONResponse(tokens.model_dump(mode="json", exclude_none=True), headers=NO_STORE)

        return handle

    async def _exchange(self, assertion: str, *, client_id: str, narrow: Narrow, issuer: JWTIssuer) -> OAuthToken:
        """Returns an access token for an assertion; `narrow` knows which of its scopes the client asked for.

        Raises:
            RefusedRequestError: the assertion is not good.
            TokenError: it was used before.
            SigningKeysError: it cannot be verified now.
            StorageError: nobody knows yet what will come of it; the same request may succeed later.
        """
        claims = await self._verified(assertion, client_id=client_id)
        asserted = str(claims.get("scope", "")).split()
        granted = [scope for scope in self._scopes if scope in asserted]
        if not self._required <= set(granted):
            lacking = "The identity assertion lacks a scope in `scope` that every call needs."
            raise RefusedRequestError("invalid_grant", lacking)
        scopes = narrow(granted) or granted

        async def sign_in() -> OAuthToken:
            key, now = secrets.token_urlsafe(32), time.time()
            # In the form that FastMCP has for tokens of Entra ID.
            row = {
                "upstream_token_id": key,
                "access_token": assertion,
                "refresh_token": None,
                "refresh_token_expires_at": None,
                "expires_at": now + LIFETIME_SECONDS,
                "token_type": ASSERTED,
                "scope": " ".join(scopes),
                "client_id": client_id,
                "created_at": now,
                OWNER: claims["oid"] if self._names_an_object(claims) else str(claims["sub"]),
            }
            await self._storage.put(key, row, collection=UPSTREAM_TOKENS, ttl=LIFETIME_SECONDS)
            token = issuer.issue_access_token(client_id, scopes, secrets.token_urlsafe(32), LIFETIME_SECONDS)
            return OAuthToken(access_token=token, expires_in=LIFETIME_SECONDS, scope=" ".join(scopes))

        return await self._single_use.redeem(IDENTITY_ASSERTION, f"{claims['iss']}\0{claims['jti']}", sign_in)

    def caller(self, row: Mapping[str, Any], *, token: str) -> AccessToken | None:
        """Returns whom the assertion in the row of a sign-in was about; None when Entra ID signed them in.

        An object of a tenant is what that tenant's own issuer says. With any other issuer a person is the issuer and
        the subject, so that none of them can name a person of Entra ID.
        """
        if row.get("token_type") != ASSERTED:
            return None
        # Verified before it was stored.
        claims: dict[str, Any] = jwt.decode(row["access_token"], options={"verify_signature": False})
        issuer, subject = claims["iss"], str(claims["sub"])
        own = self._names_an_object(claims)
        return AccessToken(
            token=token,
            client_id=row["client_id"],
            scopes=row["scope"].split(),
            expires_at=int(row["expires_at"]),
            subject=subject,
            claims={
                "iss": issuer,
                "sub": subject,
                "tid": claims["tid"] if own else issuer,
                "oid": claims["oid"] if own else subject,
                "scp": row["scope"],
                ASSERTED_BY: issuer,
                **{name: claims[name] for name in ("name", "preferred_username") if isinstance(claims.get(name), str)},
            },
        )

    def _names_an_object(self, claims: dict[str, Any]) -> bool:
        """Whether the issuer is that of the tenant whose object it names."""
        tenant = claims.get("tid")
        own = isinstance(tenant, str) and claims["iss"] == self._app.issuer(tenant)
        return own and isinstance(claims.get("oid"), str)

    async def _verified(self, assertion: str, *, client_id: str) -> dict[str, Any]:
        try:
            return await self._validator.validate(assertion, client_id=client_id, resource_url=self._resource)
        except (IdentityAssertionError, RecursionError, ValueError, OverflowError) as error:
            # FastMCP decodes lists in lists before it looks at the signature, and computes with any time and address.
            logger.warning("An identity assertion was refused: %s", described(str(error)))
            raise RefusedRequestError("invalid_grant", "The identity assertion is not good here.") from error


class _Validator(IdentityAssertionValidator):
    """Leaves it to the ledger whether an assertion was used, on whatever instance, so that a failed write uses none.

    FastMCP takes an issuer that does not answer for a bad assertion, which a client throws away.
    """

    def __init__(self, config: IdentityAssertion, issuer: str, *, http_client: httpx2.AsyncClient) -> None:
        super().__init__(config, issuer)
        self._by_issuer = {
            each: IssuerVerifier(each, audience=self.audience, http_client=http_client)
            for each in config.trusted_issuers
        }

    @override
    async def _get_verifier(self, issuer: str) -> IssuerVerifier:
        return self._by_issuer[issuer]

    @override
    async def validate(self, assertion: str, *, client_id: str, resource_url: str | None) -> dict[str, Any]:
        validate = super().validate  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - a `dict` of anything there
        claims = cast("dict[str, Any]", await validate(assertion, client_id=client_id, resource_url=resource_url))
        self._jti_cache.clear()
        if not has_finite_times(claims):
            raise IdentityAssertionError("a time of the assertion is no number")
        return claims
