"""The authorize endpoint: check the request, let a person choose an account, send the browser back with a code.

Threat: an open redirector. Until the client id and the redirect URI are known to be registered, errors stay on a page
of this server; only then do they travel to the redirect URI (RFC 6749 section 4.1.2.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from local.directory import SIGN_IN
from local.entra import pages
from local.entra.errors import EntraError, RequestIds, error_uri
from local.entra.scopes import DEFAULT
from local.entra.shared import form_of
from local.entra.state import SignIn
from local.entra.tokens import client_info, new_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from local.entra.accounts import Account
    from local.entra.scopes import ScopeRequest
    from local.entra.shared import Entra
    from local.entra.tenants import TenantPath

PROMPTS = frozenset({"login", "none", "consent", "select_account", "create"})
RESPONSE_MODES = frozenset({"query", "fragment", "form_post"})
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_NOT_STORED = {"Cache-Control": "no-store, no-cache", "Referrer-Policy": "no-referrer"}


class Authorize:
    """GET shows the accounts, POST with the same query takes the choice."""

    def __init__(self, entra: Entra) -> None:
        self._entra = entra

    def routes(self) -> list[Route]:
        return [
            Route("/{tenant}/oauth2/v2.0/authorize", self.handle, methods=["GET", "POST"]),
            Route("/{tenant}/oauth2/v2.0/logout", self.logout, methods=["GET", "POST"]),
            Route("/error", self.explain),
        ]

    async def handle(self, request: Request) -> Response:
        query = request.query_params
        # Path and query alone, so that the form works on either listener.
        here = f"{request.url.path}?{request.url.query}"
        try:
            tenant = self._entra.tenant(request)
            self._check_app(query, tenant=tenant)
        except EntraError as error:
            return pages.error_page(error)
        try:
            asked = self._check(query)
        except EntraError as error:
            return self._send_error(query, error)
        if request.method == "GET":
            return pages.picker(
                app=self._entra.registration.name,
                action=here,
                tenant=tenant,
                accounts=tuple(self._entra.accounts.values()),
                permissions=[*sorted(asked[0].oidc), *(word for one in asked for word in one.words)],
                hint=query.get("login_hint"),
            )
        form = await form_of(request)
        action, key = form.get("action"), form.get("account", "")
        if action == "cancel":
            return self._send_error(query, EntraError(65004), {"error_subcode": "cancel"})
        try:
            account = self._admit(key, tenant=tenant)
        except EntraError as error:
            if action == "return" and key in self._entra.accounts:
                return self._send_error(query, error, {"error": "access_denied"})
            return pages.error_page(error, action=here, account=key)
        return self._sign_in(account, query, tenant=tenant, asked=asked)

    async def logout(self, request: Request) -> Response:
        """There is no session to end; go where the app asked to, if that is one of its own addresses."""
        target = request.query_params.get("post_logout_redirect_uri")
        origins = {urlsplit(uri)[:2] for uri in self._entra.registration.redirect_uris}
        if target and urlsplit(target)[:2] in origins:
            return RedirectResponse(target, status_code=302)
        return pages.signed_out()

    async def explain(self, request: Request) -> Response:
        """What `error_uri` of an error document points to."""
        code = request.query_params.get("code", "")
        return pages.error_page(EntraError(int(code) if code.isdecimal() else 0))

    def _check_app(self, query: Mapping[str, str], *, tenant: TenantPath) -> None:
        """Check the app and the address to answer to; errors of this step must not redirect."""
        registration = self._entra.registration
        client = query.get("client_id")
        if not client:
            raise EntraError(900144, field="client_id")
        if client.lower() != registration.client_id:
            raise EntraError(700016, client=client, tenant=tenant.segment)
        uri = query.get("redirect_uri")
        if not uri:
            raise EntraError(900971)
        if uri not in registration.redirect_uris:
            raise EntraError(50011, uri=uri, client=client)

    def _check(self, query: Mapping[str, str]) -> list[ScopeRequest]:
        """Check what may be answered with a redirect."""
        response_type = query.get("response_type")
        if not response_type:
            raise EntraError(900144, field="response_type")
        if response_type != "code":
            raise EntraError(700054, response_type=response_type)
        if query.get("response_mode", "query") not in RESPONSE_MODES:
            raise EntraError(90023, field="response_mode")
        if not query.get("scope", "").strip():
            raise EntraError(900144, field="scope")
        asked = self._entra.scopes.read(query["scope"], resource=query.get("resource"))
        _check_challenge(query.get("code_challenge"), query.get("code_challenge_method"))
        prompts = set(query.get("prompt", "").split())
        if prompts - PROMPTS:
            raise EntraError(90023, field="prompt")
        if "none" in prompts:
            raise EntraError(50058)
        return asked

    def _admit(self, key: str, *, tenant: TenantPath) -> Account:
        """The account, unless the directory does not let it in."""
        account = self._entra.accounts.get(key)
        if account is None:
            raise EntraError(50034, username=key)
        if account.tenant_id not in tenant.tenants:
            raise EntraError(
                50020,
                username=account.username,
                provider=account.identity_provider,
                tenant=tenant.segment,
                client=self._entra.registration.client_id,
            )
        if fault := account.faults.get(SIGN_IN):
            raise EntraError(fault)
        return account

    def _sign_in(
        self, account: Account, query: Mapping[str, str], *, tenant: TenantPath, asked: Sequence[ScopeRequest]
    ) -> Response:
        """Signing in consents to what the page listed, as a person would in Entra's consent dialog."""
        state = self._entra.state
        for one in asked:
            state.add_consents(account.key, one.resource.qualified(one.names - {DEFAULT}))
        sign_in = SignIn(
            account=account.key,
            tenant=tenant.segment,
            scope=query["scope"],
            redirect_uri=query["redirect_uri"],
            session=new_session(),
            nonce=query.get("nonce"),
            challenge=query.get("code_challenge"),
            challenge_method=query.get("code_challenge_method", "plain"),
        )
        values = {"code": state.add_code(sign_in, now=self._entra.clock())}
        if query.get("client_info") == "1":
            values["client_info"] = client_info(account)
        return _reply(query, {**values, "session_state": sign_in.session})

    def _send_error(
        self, query: Mapping[str, str], error: EntraError, changes: Mapping[str, str] | None = None
    ) -> Response:
        values = {
            "error": error.error,
            "error_description": RequestIds.new().describe(error),
            "error_uri": error_uri(self._entra.authority, error.code),
        }
        return _reply(query, {**values, **(changes or {})})


def _reply(query: Mapping[str, str], values: Mapping[str, str]) -> Response:
    """Send the browser back to the app, whose redirect URI has been checked, in the response mode it asked for."""
    fields, uri = dict(values), query["redirect_uri"]
    if "state" in query:
        fields["state"] = query["state"]
    mode = query.get("response_mode")
    if mode == "form_post":
        return pages.continue_page(uri, fields)
    separator = "&" if urlsplit(uri).query else "?"
    if mode == "fragment":
        separator = "#"
    return RedirectResponse(f"{uri}{separator}{urlencode(fields)}", status_code=302, headers=_NOT_STORED)


def _check_challenge(challenge: str | None, method: str | None) -> None:
    """PKCE, RFC 7636 section 4.3: optional for a confidential client, as in Entra, but well-formed."""
    if challenge is None and method is not None:
        raise EntraError(900144, field="code_challenge")
    if challenge is not None and not _CHALLENGE.fullmatch(challenge):
        raise EntraError(501491)
    if method not in (None, "S256", "plain"):
        raise EntraError(90023, field="code_challenge_method")
