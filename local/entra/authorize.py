"""The authorize endpoint: check the request, let a person choose an account, send the browser back with a code.

Threat: an open redirector. Until the client id and the redirect URI are known to be registered, errors stay on a page
of this server; only then do they travel to the redirect URI (RFC 6749 section 4.1.2.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from local.entra import pages
from local.entra.errors import EntraError, RequestIds, error_uri
from local.entra.scopes import DEFAULT
from local.entra.state import SignIn
from local.entra.tokens import client_info, new_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.datastructures import URL
    from starlette.requests import Request

    from local.entra.accounts import Account
    from local.entra.registration import Registration
    from local.entra.scopes import ScopeReader, ScopeRequest
    from local.entra.state import State
    from local.entra.tenants import TenantPath, Tenants

PROMPTS = frozenset({"login", "none", "consent", "select_account", "create"})
RESPONSE_MODES = frozenset({"query", "fragment", "form_post"})
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """Where and how the browser goes back to the app."""

    redirect_uri: str
    mode: str
    state: str | None

    def send(self, values: Mapping[str, str]) -> Response:
        fields = dict(values)
        if self.state is not None:
            fields["state"] = self.state
        if self.mode == "form_post":
            return pages.continue_page(self.redirect_uri, fields)
        if self.mode == "fragment":
            return RedirectResponse(f"{self.redirect_uri}#{urlencode(fields)}", status_code=302, headers=_NOT_STORED)
        separator = "&" if urlsplit(self.redirect_uri).query else "?"
        target = f"{self.redirect_uri}{separator}{urlencode(fields)}"
        return RedirectResponse(target, status_code=302, headers=_NOT_STORED)


_NOT_STORED = {"Cache-Control": "no-store, no-cache", "Referrer-Policy": "no-referrer"}


class Authorize:
    """GET shows the accounts, POST with the same query takes the choice."""

    def __init__(
        self,
        *,
        authority: str,
        accounts: Mapping[str, Account],
        tenants: Tenants,
        registration: Registration,
        scopes: ScopeReader,
        state: State,
        clock: Callable[[], float],
    ) -> None:
        self._authority = authority
        self._accounts = accounts
        self._tenants = tenants
        self._registration = registration
        self._scopes = scopes
        self._state = state
        self._clock = clock

    def routes(self) -> list[Route]:
        return [
            Route("/{tenant}/oauth2/v2.0/authorize", self.handle, methods=["GET", "POST"]),
            Route("/{tenant}/oauth2/v2.0/logout", self.logout, methods=["GET", "POST"]),
            Route("/error", self.explain),
        ]

    async def handle(self, request: Request) -> Response:
        query = request.query_params
        try:
            tenant = self._tenants.resolve(request.path_params["tenant"])
            reply = self._reply(query, tenant=tenant)
        except EntraError as error:
            return pages.error_page(error, trace=RequestIds.new())
        try:
            asked = self._check(query)
        except EntraError as error:
            return self._send_error(reply, error)
        if request.method == "GET":
            return pages.picker(
                app=self._registration.name,
                action=_relative(request.url),
                tenant=tenant,
                accounts=tuple(self._accounts.values()),
                permissions=tuple(sorted(asked.oidc) + [word for words in asked.asked.values() for word in words]),
                hint=query.get("login_hint"),
            )
        async with request.form() as data:
            form = {name: value for name, value in data.items() if isinstance(value, str)}
        return self._choose(form, query, request.url, tenant=tenant, reply=reply, asked=asked)

    async def logout(self, request: Request) -> Response:
        """There is no session to end; go where the app asked to, if that is one of its own addresses."""
        target = request.query_params.get("post_logout_redirect_uri")
        origins = {urlsplit(uri)[:2] for uri in self._registration.redirect_uris}
        if target and urlsplit(target)[:2] in origins:
            return RedirectResponse(target, status_code=302)
        return pages.signed_out()

    async def explain(self, request: Request) -> Response:
        """What `error_uri` of an error document points to."""
        code = request.query_params.get("code", "")
        return pages.error_page(EntraError(int(code) if code.isdecimal() else 0), trace=RequestIds.new())

    def _reply(self, query: Mapping[str, str], *, tenant: TenantPath) -> _Reply:
        """Identify the app and the address to answer to; errors of this step must not redirect."""
        client = query.get("client_id")
        if not client:
            raise EntraError(900144, field="client_id")
        if client.lower() != self._registration.client_id:
            raise EntraError(700016, client=client, tenant=tenant.segment)
        uri = query.get("redirect_uri")
        if not uri:
            raise EntraError(900971)
        if uri not in self._registration.redirect_uris:
            raise EntraError(50011, uri=uri, client=client)
        mode = query.get("response_mode", "query")
        return _Reply(redirect_uri=uri, mode=mode if mode in RESPONSE_MODES else "query", state=query.get("state"))

    def _check(self, query: Mapping[str, str]) -> ScopeRequest:
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
        asked = self._scopes.read(query["scope"], resource=query.get("resource"))
        _check_challenge(query.get("code_challenge"), query.get("code_challenge_method"))
        prompts = set(query.get("prompt", "").split())
        if prompts - PROMPTS:
            raise EntraError(90023, field="prompt")
        if "none" in prompts:
            raise EntraError(50058)
        return asked

    def _choose(
        self,
        form: Mapping[str, str],
        query: Mapping[str, str],
        url: URL,
        *,
        tenant: TenantPath,
        reply: _Reply,
        asked: ScopeRequest,
    ) -> Response:
        action, key = form.get("action"), form.get("account", "")
        if action == "cancel":
            return self._send_error(reply, EntraError(65004), {"error_subcode": "cancel"})
        try:
            account = self._admit(key, tenant=tenant)
        except EntraError as error:
            if action == "return" and key in self._accounts:
                return self._send_error(reply, error, {"error": "access_denied"})
            return pages.error_page(error, trace=RequestIds.new(), action=_relative(url), account=key)
        return self._sign_in(account, query, tenant=tenant, reply=reply, asked=asked)

    def _admit(self, key: str, *, tenant: TenantPath) -> Account:
        """The account, unless the directory does not let it in."""
        account = self._accounts.get(key)
        if account is None:
            raise EntraError(50034, username=key)
        if account.tenant_id not in tenant.tenants:
            raise EntraError(
                50020,
                username=account.username,
                provider=account.identity_provider,
                tenant=tenant.segment,
                client=self._registration.client_id,
            )
        if account.sign_in_fault:
            raise EntraError(account.sign_in_fault)
        return account

    def _sign_in(
        self, account: Account, query: Mapping[str, str], *, tenant: TenantPath, reply: _Reply, asked: ScopeRequest
    ) -> Response:
        """Signing in consents to what the page listed, as a person would in Entra's consent dialog."""
        for resource in asked.resources:
            self._state.add_consents(account.key, resource.qualified(asked.names(resource) - {DEFAULT}))
        sign_in = SignIn(
            account=account.key,
            tenant=tenant.segment,
            scope=query["scope"],
            redirect_uri=reply.redirect_uri,
            session=new_session(),
            nonce=query.get("nonce"),
            challenge=query.get("code_challenge"),
            challenge_method=query.get("code_challenge_method", "plain"),
        )
        values = {"code": self._state.add_code(sign_in, now=self._clock())}
        if query.get("client_info") == "1":
            values["client_info"] = client_info(account)
        return reply.send({**values, "session_state": sign_in.session})

    def _send_error(self, reply: _Reply, error: EntraError, changes: Mapping[str, str] | None = None) -> Response:
        values = {
            "error": error.error,
            "error_description": RequestIds.new().describe(error),
            "error_uri": error_uri(self._authority, error.code),
        }
        return reply.send({**values, **(changes or {})})


def _check_challenge(challenge: str | None, method: str | None) -> None:
    """PKCE, RFC 7636 section 4.3: optional for a confidential client, as in Entra, but well-formed."""
    if challenge is None and method is not None:
        raise EntraError(900144, field="code_challenge")
    if challenge is not None and not _CHALLENGE.fullmatch(challenge):
        raise EntraError(501491)
    if method not in (None, "S256", "plain"):
        raise EntraError(90023, field="code_challenge_method")


def _relative(url: URL) -> str:
    """Path and query alone, so that the form works on either listener."""
    return f"{url.path}?{url.query}"
