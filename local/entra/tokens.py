"""The claims of access and ID tokens, version 1 and 2, for people and for applications.

Claims: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import uuid
from typing import TYPE_CHECKING, Any

from local.entra.registration import TOKEN_EXCHANGE_AUDIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from local.entra.accounts import Account
    from local.entra.keys import SigningKeys
    from local.entra.registration import ManagedIdentity, Registration
    from local.entra.scopes import Resource

MIN_LIFETIME = 60 * 60
MAX_LIFETIME = 90 * 60
CONTINUOUS_LIFETIME = 28 * 3600
IDENTITY_LIFETIME = 24 * 3600
ASSERTION_LIFETIME = 5 * 60


class TokenIssuer:
    """Issues tokens of every kind; lifetimes are in seconds."""

    def __init__(
        self, *, authority: str, registration: Registration, keys: SigningKeys, clock: Callable[[], float]
    ) -> None:
        self._authority = authority
        self._registration = registration
        self._keys = keys
        self._clock = clock

    def issuer(self, tenant_id: str, *, version: int) -> str:
        if version == 1:
            return f"https://sts.windows.net/{tenant_id}/"
        return f"https://{self._authority}/{tenant_id}/v2.0"

    def lifetime(self, *, continuous: bool = False) -> int:
        """60 to 90 minutes at random, as Entra spreads expiries; a day and more under continuous access evaluation."""
        if continuous:
            return CONTINUOUS_LIFETIME
        return MIN_LIFETIME + secrets.randbelow(MAX_LIFETIME - MIN_LIFETIME + 1)

    def user_token(
        self,
        account: Account,
        *,
        resource: Resource,
        scopes: Collection[str],
        session: str,
        lifetime: int,
        profile: bool,
        secretless: bool = False,
        continuous: bool = False,
    ) -> str:
        """An access token for a person; `continuous` when the app said that it understands challenges (`cp1`)."""
        claims = self.user_claims(
            account,
            resource=resource,
            scopes=scopes,
            session=session,
            lifetime=lifetime,
            profile=profile,
            secretless=secretless,
        )
        return self._keys.sign({**claims, "xms_cc": ["cp1"]} if continuous else claims)

    def user_claims(
        self,
        account: Account,
        *,
        resource: Resource,
        scopes: Collection[str],
        session: str,
        lifetime: int,
        profile: bool = True,
        secretless: bool = False,
    ) -> dict[str, Any]:
        """The claims that `user_token` signs; roles are those that the account has at the resource.

        Version 2 names the person only where the sign-in asked for `profile`. The claims reference says the same of
        `oid`, yet tokens of the real service carry `oid` and `tid` whatever was asked for, and so do these.
        """
        own = resource.audience == self._registration.client_id
        claims = self._base(account.tenant_id, audience=resource.audience, version=resource.version, lifetime=lifetime)
        claims |= self._client(version=resource.version, secretless=secretless)
        claims |= {
            "oid": account.object_id,
            "scp": " ".join(sorted(scopes)),
            "sid": session,
            "sub": _pairwise(account, resource.audience),
        }
        if resource.version == 1:
            names = {"name": account.name, "upn": account.username, "unique_name": account.username}
            claims |= {**names, "idtyp": "user"}
        elif profile:
            claims |= {"name": account.name, "preferred_username": account.username}
        if own and "idtyp" in self._registration.optional_claims:
            claims["idtyp"] = "user"
        if roles := account.roles if own else account.api_roles.get(resource.key):
            claims["roles"] = list(roles)
        return claims

    def assertion_claims(
        self, account: Account, *, client_id: str, audience: str, resource: str, scope: str
    ) -> dict[str, Any]:
        """The claims of an identity assertion (ID-JAG, SEP-990) for a client of another authorization server.

        Entra ID itself issues none; other providers know no `oid` and `tid`.
        """
        now = int(self._clock())
        return {
            "iss": self.issuer(account.tenant_id, version=2),
            "aud": audience,
            "sub": _pairwise(account, audience),
            "client_id": client_id,
            "resource": resource,
            "scope": scope,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + ASSERTION_LIFETIME,
            "oid": account.object_id,
            "tid": account.tenant_id,
            "name": account.name,
        }

    def app_token(self, *, resource: Resource, lifetime: int, secretless: bool = False) -> str:
        """An access token for the registration itself (client credentials)."""
        principal, tenant = self._registration.principal_id, self._registration.tenant_id
        claims = self._base(tenant, audience=resource.audience, version=resource.version, lifetime=lifetime)
        claims |= self._client(version=resource.version, secretless=secretless)
        own = resource.audience == self._registration.client_id
        if not own or "idtyp" in self._registration.optional_claims:
            claims["idtyp"] = "app"
        if own and self._registration.app_roles:
            claims["roles"] = list(self._registration.app_roles)
        return self._keys.sign({**claims, "oid": principal, "sub": principal})

    def identity_token(self, identity: ManagedIdentity, *, audience: str) -> str:
        """An access token for a managed identity; only the token-exchange audience has version 2."""
        version = 2 if audience == TOKEN_EXCHANGE_AUDIENCE else 1
        claims = self._base(
            self._registration.tenant_id, audience=audience, version=version, lifetime=IDENTITY_LIFETIME
        )
        client = {"appid": identity.client_id, "appidacr": "2"}
        if version == 2:
            client = {"azp": identity.client_id, "azpacr": "2"}
        principal = {"idtyp": "app", "oid": identity.principal_id, "sub": identity.principal_id}
        return self._keys.sign({**claims, **client, **principal, "xms_mirid": identity.resource_id})

    def id_token(self, account: Account, *, scopes: Collection[str], session: str, nonce: str | None) -> str:
        """An OpenID Connect ID token; what it says about the person depends on the OpenID scopes."""
        client = self._registration.client_id
        claims = self._base(account.tenant_id, audience=client, version=2, lifetime=MIN_LIFETIME)
        claims |= {"oid": account.object_id, "sid": session, "sub": _pairwise(account, client)}
        if "profile" in scopes:
            claims |= {"name": account.name, "preferred_username": account.username}
        if "email" in scopes:
            claims["email"] = account.username
        if account.roles:
            claims["roles"] = list(account.roles)
        if nonce:
            claims["nonce"] = nonce
        return self._keys.sign(claims)

    def _base(self, tenant_id: str, *, audience: str, version: int, lifetime: int) -> dict[str, Any]:
        now = int(self._clock())
        return {
            "aud": audience,
            "iss": self.issuer(tenant_id, version=version),
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "rh": f"1.{secrets.token_urlsafe(48)}.",
            "tid": tenant_id,
            "uti": secrets.token_urlsafe(16),
            "ver": f"{version}.0",
        }

    def _client(self, *, version: int, secretless: bool) -> dict[str, str]:
        names = ("appid", "appidacr") if version == 1 else ("azp", "azpacr")
        return dict(zip(names, (self._registration.client_id, "2" if secretless else "1"), strict=True))


def new_session() -> str:
    return str(uuid.uuid4())


def client_info(account: Account) -> str:
    """Who signed in, as MSAL asks for it with `client_info=1`."""
    text = f'{{"uid":"{account.object_id}","utid":"{account.tenant_id}"}}'
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _pairwise(account: Account, audience: str) -> str:
    """A subject that differs from app to app, so that two apps cannot compare their users."""
    digest = hashlib.sha256(f"{account.tenant_id}|{account.object_id}|{audience}".encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
