"""The token endpoint and its four grants: form in, token response or AADSTS error out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt
from starlette.responses import JSONResponse
from starlette.routing import Route

from local.entra.client_auth import authenticate
from local.entra.errors import EntraError, RequestIds, error_document
from local.entra.scopes import GRAPH_URI
from local.entra.shared import form_of
from local.entra.state import REFRESH_TOKEN_IDLE, TOKEN_ENDPOINT, TokenFault, UserGrant
from local.entra.tokens import app_claims, client_info, id_token_claims, user_claims

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from local.entra.accounts import Account
    from local.entra.scopes import ScopeRequest
    from local.entra.shared import Entra
    from local.entra.state import SignIn
    from local.entra.tenants import TenantPath

CODE_LIFETIME = 600
CONSENT_MISSING = 65001
ON_BEHALF_OF = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_NOT_STORED = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A token request of the app; `secretless` says whether it used a federated credential."""

    form: Mapping[str, str]
    tenant: TenantPath
    secretless: bool

    def required(self, field: str) -> str:
        value = self.form.get(field, "").strip()
        if not value:
            raise EntraError(900144, field=field)
        return value


class TokenEndpoint:
    """POST /{tenant}/oauth2/v2.0/token."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra

    def routes(self) -> list[Route]:
        return [Route("/{tenant}/oauth2/v2.0/token", self.post, methods=["POST"])]

    async def post(self, request: Request) -> JSONResponse:
        form = await form_of(request)
        correlation = request.headers.get("client-request-id") or form.get("client-request-id")
        trace = RequestIds.new(correlation_id=correlation)
        headers = {**_NOT_STORED, "x-ms-request-id": trace.trace_id, "client-request-id": trace.correlation_id}
        try:
            tenant = self._entra.tenant(request)
            self._fail_if_asked(form)
            secretless = authenticate(self._entra, form, authorization=request.headers.get("authorization"))
            answer = self._granted(TokenRequest(form=form, tenant=tenant, secretless=secretless))
        except EntraError as error:
            document = error_document(error, authority=self._entra.authority, trace=trace)
            return JSONResponse(document, status_code=error.status, headers={**headers, **error.headers})
        return JSONResponse(answer, headers=headers)

    def _fail_if_asked(self, form: Mapping[str, str]) -> None:
        grant_type = form.get("grant_type", "")
        fault = self._entra.state.take_fault(TokenFault, api=TOKEN_ENDPOINT, grant_type=grant_type)
        if fault is None:
            return
        error = EntraError(fault.code, client=form.get("client_id", ""))
        error.status = fault.status or error.status
        error.error = fault.error or error.error
        error.headers = fault.headers
        raise error

    def _granted(self, request: TokenRequest) -> dict[str, Any]:
        """The body of a successful answer; raises EntraError."""
        grants = {
            "authorization_code": self._code,
            "refresh_token": self._refresh,
            ON_BEHALF_OF: self._on_behalf_of,
            "client_credentials": self._client_credentials,
        }
        grant_type = request.required("grant_type")
        if grant_type not in grants:
            raise EntraError(70003, grant_type=grant_type)
        return grants[grant_type](request)

    def _code(self, request: TokenRequest) -> dict[str, Any]:
        state, form, tenant = self._entra.state, request.form, request.tenant
        code = request.required("code")
        stored = state.find_code(code)
        if stored is None:
            raise EntraError(9002313)
        sign_in = stored.sign_in
        if stored.redeemed:
            raise EntraError(54005)
        if stored.issued + CODE_LIFETIME <= self._entra.clock():
            raise EntraError(70008)
        if form.get("redirect_uri") != sign_in.redirect_uri:
            raise EntraError(500112, uri=form.get("redirect_uri", ""), expected=sign_in.redirect_uri)
        account = self._entra.accounts[sign_in.account]
        if account.tenant_id not in tenant.tenants or (tenant.tenant_id is None and sign_in.tenant != tenant.segment):
            raise EntraError(700005)
        _check_verifier(sign_in, form.get("code_verifier"))
        if not form.get("scope", "").strip():
            raise EntraError(28003)
        scope = self._scope(request)
        granted = self._consented(account, scope)
        if not state.redeem_code(code, now=self._entra.clock()):
            raise EntraError(54005)
        profile = "profile" in sign_in.scope.split()
        grant = UserGrant(account=account.key, scope=scope.text, session=sign_in.session, profile=profile)
        return self._user_answer(request, grant, scope, granted, nonce=sign_in.nonce)

    def _refresh(self, request: TokenRequest) -> dict[str, Any]:
        state, now = self._entra.state, self._entra.clock()
        token = request.required("refresh_token")
        stored = state.find_refresh_token(token)
        if stored is None:
            raise EntraError(9002313)
        account = self._entra.accounts[stored.grant.account]
        if account.tenant_id not in request.tenant.tenants:
            raise EntraError(70000)
        if stored.used + REFRESH_TOKEN_IDLE <= now:
            raise EntraError(700082, issued=_instant(stored.issued))
        self._check_not_revoked(account, issued=stored.issued)
        state.touch_refresh_token(token, now=now)
        scope = self._scope(request, otherwise=stored.grant.scope)
        granted = self._consented(account, scope)
        # Entra answers a refresh with a new refresh token whether or not offline_access is asked for again.
        return self._user_answer(request, replace(stored.grant, scope=scope.text), scope, granted, offline=True)

    def _on_behalf_of(self, request: TokenRequest) -> dict[str, Any]:
        assertion = request.required("assertion")
        if request.required("requested_token_use") != "on_behalf_of":
            raise EntraError(90023, field="requested_token_use")
        claims = self._checked_assertion(assertion)
        account = self._entra.account_of(claims)
        if account is None or account.tenant_id not in request.tenant.tenants:
            raise EntraError(50013, reason="The issuer of the assertion is not of this tenant.")
        self._check_not_revoked(account, issued=claims["iat"])
        request.required("scope")
        scope = self._scope(request)
        if fault := account.faults.get(scope.resource.key):
            app = self._entra.registration
            raise EntraError(fault, resource=scope.resource.audience, client=app.client_id, name=app.name)
        granted = self._consented(account, scope)
        session, profile = claims.get("sid", ""), "name" in claims
        grant = UserGrant(account=account.key, scope=scope.text, session=session, profile=profile)
        return self._user_answer(request, grant, scope, granted)

    def _client_credentials(self, request: TokenRequest) -> dict[str, Any]:
        tenant, registration = request.tenant.tenant_id, self._entra.registration
        request.required("scope")
        if tenant is None:
            raise EntraError(50059)
        if tenant != registration.tenant_id:
            raise EntraError(700016, client=registration.client_id, tenant=tenant)
        scope = self._scope(request)
        if scope.oidc or not scope.is_default:
            raise EntraError(1002012, scope=scope.text)
        return self._answer(app_claims(self._entra, resource=scope.resource, secretless=request.secretless))

    def _answer(self, claims: dict[str, Any]) -> dict[str, Any]:
        lifetime, token = claims["exp"] - claims["iat"], self._entra.keys.sign(claims)
        return {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}

    def _scope(self, request: TokenRequest, *, otherwise: str = "") -> ScopeRequest:
        return self._entra.scopes.read_one(
            request.form.get("scope") or otherwise, resource=request.form.get("resource")
        )

    def _check_not_revoked(self, account: Account, *, issued: float) -> None:
        if issued < (valid_from := self._entra.state.valid_from(account.key)):
            raise EntraError(50173, issued=_instant(issued), valid_from=_instant(valid_from))

    def _checked_assertion(self, assertion: str) -> dict[str, Any]:
        """Claims of a person's token that was issued to be presented by this app."""
        registration = self._entra.registration
        client = registration.client_id
        try:
            claims = self._entra.keys.verify(assertion)
        except jwt.ExpiredSignatureError as error:
            raise EntraError(500133) from error
        except jwt.InvalidTokenError as error:
            raise EntraError(50013, reason=str(error)) from error
        if claims["aud"] not in (client, registration.identifier_uri):
            raise EntraError(500131, audience=str(claims["aud"]), client=client)
        if claims["iss"] not in [self._entra.issuer(str(claims.get("tid")), version=one) for one in (1, 2)]:
            raise EntraError(50013, reason="The issuer of the assertion is not this directory.")
        if claims.get("oid") == registration.principal_id:
            raise EntraError(7000114, client=client)
        if not claims.get("scp"):
            raise EntraError(240002, grant_type=ON_BEHALF_OF)
        return claims

    def _consented(self, account: Account, scope: ScopeRequest) -> frozenset[str]:
        """Names granted on the resource: `.default` stands for everything that was consented to.

        What the person allowed this app of its own API before comes with what is asked for now. Missing consent
        raises AADSTS65001.
        """
        resource, names = scope.resource, scope.names
        allowed = self._entra.state.consents(account.key)
        given = frozenset(name for name in resource.scopes if resource.qualified([name]) <= allowed)
        refuses = account.faults.get(resource.key) == CONSENT_MISSING
        consented = frozenset[str]() if refuses else resource.consented | given
        if scope.is_default and consented:
            return consented
        if scope.is_default or not names <= consented:
            app = self._entra.registration
            raise EntraError(CONSENT_MISSING, client=app.client_id, name=app.name)
        if names and resource == self._entra.scopes.app:
            return names | given
        return names or scope.oidc - {"offline_access"}

    def _user_answer(
        self,
        request: TokenRequest,
        grant: UserGrant,
        scope: ScopeRequest,
        granted: frozenset[str],
        *,
        nonce: str | None = None,
        offline: bool = False,
    ) -> dict[str, Any]:
        account = self._entra.accounts[grant.account]
        claims = user_claims(
            self._entra,
            account,
            resource=scope.resource,
            scopes=granted,
            session=grant.session,
            profile=grant.profile,
            secretless=request.secretless,
            continuous=scope.resource.uri == GRAPH_URI and _understands_challenges(request.form.get("claims")),
        )
        answer = {**self._answer(claims), "scope": " ".join(_echo(scope, granted=granted))}
        if offline or "offline_access" in scope.oidc:
            answer["refresh_token"] = self._entra.state.add_refresh_token(grant, now=self._entra.clock())
        if "openid" in scope.oidc:
            answer["id_token"] = self._entra.keys.sign(
                id_token_claims(self._entra, account, scopes=scope.oidc, session=grant.session, nonce=nonce)
            )
        if request.form.get("client_info") == "1":
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


def _echo(scope: ScopeRequest, *, granted: frozenset[str]) -> list[str]:
    """The `scope` member: scopes as they were asked for, what else is granted, and OpenID scopes beside Graph's."""
    names = list(scope.words)
    if scope.is_default:
        names = [*(f"{scope.resource.uri}/{name}" for name in sorted(granted)), *names]
    elif names:
        names += sorted(scope.resource.qualified(granted - scope.names))
    if scope.resource.uri == GRAPH_URI:
        names += sorted(scope.oidc - {"offline_access"})
    return names


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
