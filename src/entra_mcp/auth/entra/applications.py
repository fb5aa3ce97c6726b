"""Applications that call for themselves, with no person behind them: daemons, pipelines, other services.

Threat: any application of the tenant gets a token for this server just by asking Entra ID, with no permission at all.
So nothing but an app role that an administrator assigned to the application admits it, and by default none does
(https://learn.microsoft.com/entra/identity-platform/claims-validation#validate-the-actor).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast, override

import jwt
from fastmcp.server.auth import MultiAuth

from entra_mcp.auth.entra.verifier import EntraTokenVerifier

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fastmcp.server.auth import AccessToken, AuthProvider

    from entra_mcp.auth.entra.app import EntraApp

logger = logging.getLogger(__name__)


class ApplicationVerifier(EntraTokenVerifier):
    """Verifies tokens that Entra ID issued to an application itself (the client credentials grant)."""

    def __init__(
        self,
        app: EntraApp,
        *,
        roles: Collection[str],
        scopes: Collection[str],
        **verifier_options: Any,  # noqa: ANN401 - EntraTokenVerifier's own
    ) -> None:
        """Such tokens have no scopes: one of `roles` stands for `scopes`, which every call needs."""
        super().__init__(app, required_scopes=[], **verifier_options)
        self._roles = frozenset(roles)
        self._scopes = list(scopes)

    @override
    async def load_access_token(self, token: str) -> AccessToken | None:
        """Returns the verified token; without a role it lacks the scopes, and the answer is 403 (RFC 6750 section 3.1).

        Raises:
            SigningKeysError: it cannot be verified now.
        """
        verified = await super().load_access_token(token)
        if verified is None:
            return None
        found = verified.claims.get("roles")
        roles = cast("list[object]", found) if isinstance(found, list) else []
        if self._roles.isdisjoint(role for role in roles if isinstance(role, str)):
            azp = verified.claims.get("azp")
            logger.warning("Application %s has none of the roles that ENTRA_ALLOWED_APP_ROLES names.", azp)
            return verified.model_copy(update={"scopes": []})
        return verified.model_copy(update={"scopes": self._scopes})

    @override
    def fault_of_caller(self, claims: Mapping[str, Any]) -> str | None:
        return None if is_application(claims) else "it was issued to a person"


class PeopleAndApplications(MultiAuth):
    """Adds applications to a provider that admits people; metadata, challenges and sign-in stay the provider's.

    `MultiAuth` itself would try the provider first with every token: an application's costs a look into Key Vault for
    the key that it seems to be signed with, and a warning in the log, before its own verifier sees it.
    """

    def __init__(self, people: AuthProvider, *, applications: ApplicationVerifier, issuers: str) -> None:
        """Tokens of applications come from an issuer whose address begins with `issuers`."""
        super().__init__(server=people, verifiers={"applications": applications})
        self._people = people
        self._applications = applications
        self._issuers = issuers

    @override
    async def verify_token(self, token: str) -> AccessToken | None:
        # What is read here is not verified: it only decides who verifies it.
        chosen = self._applications if self._seems_an_application_s(token) else self._people
        return await chosen.verify_token(token)

    @override
    def get_challenge_scopes(self, required_scopes: list[str] | None = None) -> list[str]:
        return self._people.get_challenge_scopes(required_scopes)

    def _seems_an_application_s(self, token: str) -> bool:
        try:
            claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return False
        return str(claims.get("iss")).startswith(self._issuers) and is_application(claims)


def is_application(claims: Mapping[str, Any]) -> bool:
    """Whether a token of Entra ID was issued to an application itself.

    `idtyp` says so where the registration asks for that claim; without it, such a token is one without scopes whose
    subject is the object (https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference).
    """
    if "scp" in claims:
        return False
    kind = claims.get("idtyp")
    return kind == "app" or (kind is None and claims.get("sub") == claims.get("oid"))
