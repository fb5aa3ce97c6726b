"""The claims of access and ID tokens, version 1 and 2, for people and for applications; lifetimes are in seconds.

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
    from collections.abc import Collection

    from local.entra.accounts import Account
    from local.entra.scopes import Resource
    from local.entra.shared import Entra

MIN_LIFETIME = 60 * 60
MAX_LIFETIME = 90 * 60
CONTINUOUS_LIFETIME = 28 * 3600
IDENTITY_LIFETIME = 24 * 3600
ASSERTION_LIFETIME = 5 * 60


def user_claims(
    entra: Entra,
    account: Account,
    *,
    resource: Resource,
    scopes: Collection[str],
    session: str,
    profile: bool = True,
    secretless: bool = False,
    continuous: bool = False,
) -> dict[str, Any]:
    """An access token for a person; roles are those that the account has at the resource.

    It lasts a day and more under continuous access evaluation, `continuous`: the app understands challenges (`cp1`).

    Version 2 names the person only where the sign-in asked for `profile`. The claims reference says the same of
    `oid`, yet tokens of the real service carry `oid` and `tid` whatever was asked for, and so do these.
    """
    lifetime = CONTINUOUS_LIFETIME if continuous else _spread_lifetime()
    claims = {
        **_base(entra, account.tenant_id, audience=resource.audience, version=resource.version, lifetime=lifetime),
        **_client(entra.registration.client_id, version=resource.version, secretless=secretless),
        "oid": account.object_id,
        "scp": " ".join(sorted(scopes)),
        "sid": session,
        "sub": _pairwise(account, resource.audience),
    }
    if resource.version == 1:
        claims |= {"name": account.name, "upn": account.username, "unique_name": account.username, "idtyp": "user"}
    elif profile:
        claims |= {"name": account.name, "preferred_username": account.username}
    if roles := account.roles if resource == entra.scopes.app else account.api_roles.get(resource.key):
        claims["roles"] = list(roles)
    if continuous:
        claims["xms_cc"] = ["cp1"]
    return claims


def app_claims(entra: Entra, *, resource: Resource, secretless: bool) -> dict[str, Any]:
    """An access token for the registration itself (client credentials)."""
    registration, lifetime = entra.registration, _spread_lifetime()
    claims = {
        **_base(entra, registration.tenant_id, audience=resource.audience, version=resource.version, lifetime=lifetime),
        **_client(registration.client_id, version=resource.version, secretless=secretless),
        "oid": registration.principal_id,
        "sub": registration.principal_id,
    }
    if resource != entra.scopes.app:
        claims["idtyp"] = "app"
    elif registration.app_roles:
        claims["roles"] = list(registration.app_roles)
    return claims


def identity_claims(entra: Entra, *, audience: str) -> dict[str, Any]:
    """An access token for the managed identity; only the token-exchange audience has version 2."""
    identity, version = entra.identity, 2 if audience == TOKEN_EXCHANGE_AUDIENCE else 1
    return {
        **_base(entra, entra.registration.tenant_id, audience=audience, version=version, lifetime=IDENTITY_LIFETIME),
        **_client(identity.client_id, version=version, secretless=True),
        "idtyp": "app",
        "oid": identity.principal_id,
        "sub": identity.principal_id,
        "xms_mirid": identity.resource_id,
    }


def id_token_claims(
    entra: Entra, account: Account, *, scopes: Collection[str], session: str, nonce: str | None
) -> dict[str, Any]:
    """An OpenID Connect ID token; what it says about the person depends on the OpenID scopes."""
    client = entra.registration.client_id
    claims = {
        **_base(entra, account.tenant_id, audience=client, version=2, lifetime=MIN_LIFETIME),
        "oid": account.object_id,
        "sid": session,
        "sub": _pairwise(account, client),
    }
    if "profile" in scopes:
        claims |= {"name": account.name, "preferred_username": account.username}
    if "email" in scopes:
        claims["email"] = account.username
    if account.roles:
        claims["roles"] = list(account.roles)
    if nonce:
        claims["nonce"] = nonce
    return claims


def assertion_claims(entra: Entra, account: Account, *, audience: str) -> dict[str, Any]:
    """An identity assertion (ID-JAG, SEP-990) without its `client_id`, `resource` and `scope`.

    Entra ID itself issues none; other providers know no `oid` and `tid`.
    """
    now = int(entra.clock())
    return {
        "iss": entra.issuer(account.tenant_id, version=2),
        "aud": audience,
        "sub": _pairwise(account, audience),
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + ASSERTION_LIFETIME,
        "oid": account.object_id,
        "tid": account.tenant_id,
        "name": account.name,
    }


def new_session() -> str:
    return str(uuid.uuid4())


def client_info(account: Account) -> str:
    """Who signed in, as MSAL asks for it with `client_info=1`."""
    text = f'{{"uid":"{account.object_id}","utid":"{account.tenant_id}"}}'
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _spread_lifetime() -> int:
    """60 to 90 minutes at random, as Entra spreads expiries."""
    return MIN_LIFETIME + secrets.randbelow(MAX_LIFETIME - MIN_LIFETIME + 1)


def _base(entra: Entra, tenant_id: str, *, audience: str, version: int, lifetime: int) -> dict[str, Any]:
    now = int(entra.clock())
    return {
        "aud": audience,
        "iss": entra.issuer(tenant_id, version=version),
        "iat": now,
        "nbf": now,
        "exp": now + lifetime,
        "rh": f"1.{secrets.token_urlsafe(48)}.",
        "tid": tenant_id,
        "uti": secrets.token_urlsafe(16),
        "ver": f"{version}.0",
    }


def _client(client_id: str, *, version: int, secretless: bool) -> dict[str, str]:
    prefix = "appid" if version == 1 else "azp"
    return {prefix: client_id, f"{prefix}acr": "2" if secretless else "1"}


def _pairwise(account: Account, audience: str) -> str:
    """A subject that differs from app to app, so that two apps cannot compare their users."""
    digest = hashlib.sha256(f"{account.tenant_id}|{account.object_id}|{audience}".encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
