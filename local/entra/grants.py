"""The four grants of the token endpoint, each from a checked client to a token response."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt

from local.entra.errors import EntraError
from local.entra.scopes import GRAPH_URI
from local.entra.state import REFRESH_TOKEN_IDLE, UserGrant
from local.entra.tokens import client_info

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.entra.accounts import Account
    from local.entra.keys import SigningKeys
    from local.entra.registration import Registration
    from local.entra.scopes import Resource, ScopeReader, ScopeRequest
    from local.entra.state import SignIn, State
    from local.entra.tenants import TenantPath
    from local.entra.tokens import TokenIssuer

CODE_LIFETIME = 600
CONSENT_MISSING = 65001
ON_BEHALF_OF = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Grants:
    """Answers token requests; `secretless` says whether the client used a federated credential."""

    def __init__(
        self,
        *,
        accounts: Mapping[str, Account],
        registration: Registration,
        scopes: ScopeReader,
        state: State,
        keys: SigningKeys,
        tokens: TokenIssuer,
        clock: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._registration = registration
        self._scopes = scopes
        self._state = state
        self._keys = keys
        self._tokens = tokens
        self._clock = clock

    def answer(self, form: Mapping[str, str], *, tenant: TenantPath, secretless: bool) -> dict[str, Any]:
        """The body of a successful token response; raises EntraError."""
        grants = {
            "authorization_code": self._code,
            "refresh_token": self._refresh,
            ON_BEHALF_OF: self._on_behalf_of,
            "client_credentials": self._client_credentials,
        }
        grant_type = _required(form, "grant_type")
        if grant_type not in grants:
            raise EntraError(70003, grant_type=grant_type)
        return grants[grant_type](form, tenant=tenant, secretless=secretless)

    def _code(self, form: Mapping[str, str], *, tenant: TenantPath, secretless: bool) -> dict[str, Any]:
        code = _required(form, "code")
        stored = self._state.find_code(code)
        if stored is None:
            raise EntraError(9002313)
        sign_in = stored.sign_in
        if stored.redeemed:
            raise EntraError(54005)
        if stored.issued + CODE_LIFETIME <= self._clock():
            raise EntraError(70008)
        if form.get("redirect_uri") != sign_in.redirect_uri:
            raise EntraError(500112, uri=form.get("redirect_uri", ""), expected=sign_in.redirect_uri)
        account = self._accounts[sign_in.account]
        if account.tenant_id not in tenant.tenants or (tenant.tenant_id is None and sign_in.tenant != tenant.segment):
            raise EntraError(700005)
        _check_verifier(sign_in, form.get("code_verifier"))
        if not form.get("scope", "").strip():
            raise EntraError(28003)
        request, resource = self._read(form)
        self._check_consent(account, request, resource)
        if not self._state.redeem_code(code, now=self._clock()):
            raise EntraError(54005)
        return self._user_answer(
            form,
            account,
            request,
            resource,
            session=sign_in.session,
            profile="profile" in sign_in.scope.split(),
            nonce=sign_in.nonce,
            secretless=secretless,
        )

    def _refresh(self, form: Mapping[str, str], *, tenant: TenantPath, secretless: bool) -> dict[str, Any]:
        token = _required(form, "refresh_token")
        stored = self._state.find_refresh_token(token)
        if stored is None:
            raise EntraError(9002313)
        now = self._clock()
        account = self._accounts[stored.grant.account]
        if account.tenant_id not in tenant.tenants:
            raise EntraError(70000)
        if stored.used + REFRESH_TOKEN_IDLE <= now:
            raise EntraError(700082, issued=_instant(stored.issued))
        if stored.issued < (valid_from := self._state.valid_from(account.key)):
            raise EntraError(50173, issued=_instant(stored.issued), valid_from=_instant(valid_from))
        self._state.touch_refresh_token(token, now=now)
        request, resource = self._read({**form, "scope": form.get("scope") or stored.grant.scope})
        self._check_consent(account, request, resource)
        # Entra answers a refresh with a new refresh token whether or not offline_access is asked for again.
        return self._user_answer(
            form,
            account,
            request,
            resource,
            session=stored.grant.session,
            profile=stored.grant.profile,
            offline=True,
            secretless=secretless,
        )

    def _on_behalf_of(self, form: Mapping[str, str], *, tenant: TenantPath, secretless: bool) -> dict[str, Any]:
        assertion = _required(form, "assertion")
        if _required(form, "requested_token_use") != "on_behalf_of":
            raise EntraError(90023, field="requested_token_use")
        claims = self._checked_assertion(assertion)
        account = next((one for one in self._accounts.values() if one.object_id == claims["oid"]), None)
        if account is None or account.tenant_id not in tenant.tenants:
            raise EntraError(50013, reason="The issuer of the assertion is not of this tenant.")
        issued = claims.get("iat", 0)
        if issued < (valid_from := self._state.valid_from(account.key)):
            raise EntraError(50173, issued=_instant(issued), valid_from=_instant(valid_from))
        if not form.get("scope", "").strip():
            raise EntraError(900144, field="scope")
        request, resource = self._read(form)
        if fault := account.faults.get(resource.key):
            registration = self._registration
            raise EntraError(fault, resource=resource.audience, client=registration.client_id, name=registration.name)
        self._check_consent(account, request, resource)
        return self._user_answer(
            form,
            account,
            request,
            resource,
            session=claims.get("sid", ""),
            profile="name" in claims,
            secretless=secretless,
        )

    def _client_credentials(self, form: Mapping[str, str], *, tenant: TenantPath, secretless: bool) -> dict[str, Any]:
        scope = _required(form, "scope")
        if tenant.tenant_id is None:
            raise EntraError(50059)
        if tenant.tenant_id != self._registration.tenant_id:
            raise EntraError(700016, client=self._registration.client_id, tenant=tenant.tenant_id)
        request, resource = self._read(form)
        if request.oidc or not request.is_default(resource):
            raise EntraError(1002012, scope=scope)
        lifetime = self._tokens.lifetime()
        token = self._tokens.app_token(resource=resource, lifetime=lifetime, secretless=secretless)
        return {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}

    def _read(self, form: Mapping[str, str]) -> tuple[ScopeRequest, Resource]:
        return self._scopes.read_one(form.get("scope", ""), resource=form.get("resource"))

    def _checked_assertion(self, assertion: str) -> dict[str, Any]:
        """Claims of a person's token that was issued to be presented by this app."""
        client = self._registration.client_id
        try:
            claims = self._keys.verify(assertion)
        except jwt.ExpiredSignatureError as error:
            raise EntraError(500133) from error
        except jwt.InvalidTokenError as error:
            raise EntraError(50013, reason=str(error)) from error
        if claims["aud"] not in (client, self._registration.identifier_uri):
            raise EntraError(500131, audience=str(claims["aud"]), client=client)
        versions = (1, 2)
        if claims["iss"] not in {self._tokens.issuer(str(claims.get("tid")), version=one) for one in versions}:
            raise EntraError(50013, reason="The issuer of the assertion is not this directory.")
        if claims.get("oid") == self._registration.principal_id:
            raise EntraError(7000114, client=client)
        if not claims.get("scp"):
            raise EntraError(240002, grant_type=ON_BEHALF_OF)
        return claims

    def _granted(self, account: Account, request: ScopeRequest, resource: Resource) -> frozenset[str]:
        """Names granted on the resource: `.default` stands for everything that was consented to.

        What the person allowed this app of its own API before comes with what is asked for now.
        """
        if request.is_default(resource):
            return self._consented(account, resource)
        asked = request.names(resource)
        if asked and resource == self._scopes.app:
            return asked | self._given(account, resource)
        return asked or request.oidc - {"offline_access"}

    def _consented(self, account: Account, resource: Resource) -> frozenset[str]:
        if account.faults.get(resource.key) == CONSENT_MISSING:
            return frozenset()
        return resource.consented | self._given(account, resource)

    def _given(self, account: Account, resource: Resource) -> frozenset[str]:
        """What the person consented to."""
        given = self._state.consents(account.key)
        return frozenset(name for name in resource.scopes if resource.qualified([name]) <= given)

    def _check_consent(self, account: Account, request: ScopeRequest, resource: Resource) -> None:
        asked = request.names(resource)
        consented = self._consented(account, resource)
        if asked and not (consented if request.is_default(resource) else asked <= consented):
            raise EntraError(CONSENT_MISSING, client=self._registration.client_id, name=self._registration.name)

    def _user_answer(
        self,
        form: Mapping[str, str],
        account: Account,
        request: ScopeRequest,
        resource: Resource,
        *,
        session: str,
        profile: bool,
        secretless: bool,
        nonce: str | None = None,
        offline: bool = False,
    ) -> dict[str, Any]:
        continuous = resource.uri == GRAPH_URI and _understands_challenges(form.get("claims"))
        lifetime = self._tokens.lifetime(continuous=continuous)
        granted = self._granted(account, request, resource)
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(_echo(request, resource, granted=granted)),
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self._tokens.user_token(
                account,
                resource=resource,
                scopes=granted,
                session=session,
                lifetime=lifetime,
                profile=profile,
                secretless=secretless,
                continuous=continuous,
            ),
        }
        if offline or "offline_access" in request.oidc:
            scope = form.get("scope") or " ".join(request.asked.get(resource, ()))
            grant = UserGrant(account=account.key, scope=scope, session=session, profile=profile)
            answer["refresh_token"] = self._state.add_refresh_token(grant, now=self._clock())
        if "openid" in request.oidc:
            answer["id_token"] = self._tokens.id_token(account, scopes=request.oidc, session=session, nonce=nonce)
        if form.get("client_info") == "1":
            answer["client_info"] = client_info(account)
        return answer


def _understands_challenges(claims: str | None) -> bool:
    """Whether the app declares the capability `cp1` in the `claims` parameter."""
    if not claims:
        return False
    try:
        values = json.loads(claims)["access_token"]["xms_cc"]["values"]
    except ValueError:
        raise EntraError(90023, field="claims") from None
    except (KeyError, TypeError):
        return False
    return "cp1" in {str(value).lower() for value in values}


def _echo(request: ScopeRequest, resource: Resource, *, granted: frozenset[str]) -> list[str]:
    """The `scope` member: scopes as they were asked for, what else is granted, and OpenID scopes beside Graph's."""
    asked = request.asked.get(resource, ())
    names = list(asked)
    if request.is_default(resource):
        names = [*(f"{resource.uri}/{name}" for name in sorted(granted)), *asked]
    elif asked:
        names += sorted(resource.qualified(granted - request.names(resource)))
    if resource.uri == GRAPH_URI:
        names += sorted(request.oidc - {"offline_access"})
    return names


def _required(form: Mapping[str, str], field: str) -> str:
    value = form.get(field, "").strip()
    if not value:
        raise EntraError(900144, field=field)
    return value


def _check_verifier(sign_in: SignIn, verifier: str | None) -> None:
    """PKCE, RFC 7636 section 4.6."""
    if sign_in.challenge is None:
        return
    if not verifier:
        raise EntraError(50148)
    computed = verifier
    if sign_in.challenge_method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        computed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    if not hmac.compare_digest(computed.encode(), sign_in.challenge.encode()):
        raise EntraError(501481)


def _instant(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
