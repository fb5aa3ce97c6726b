"""Shows this server's own consent page in place of FastMCP's; what consent means and how it is kept stays FastMCP's."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, override
from urllib.parse import parse_qsl, urlencode

from fastmcp.server.auth.oauth_proxy.consent import (
    _consent_state_base_name,  # pyright: ignore[reportPrivateUsage] - the name of the cookie that the page set
)
from fastmcp.server.auth.providers.azure import AzureProvider
from starlette.responses import HTMLResponse, RedirectResponse

from entra_mcp.errors import EntraMcpError
from entra_mcp.web.pages.consent import ConsentRequest, consent_page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from entra_mcp.web.pages.layout import Brand

OK = 200
BAD_REQUEST = 400

HINT_CHARACTERS = 254
"""The longest address of a mailbox (RFC 5321 section 4.5.3.1)."""

PROMPTS = ("login", "select_account", "consent")
"""Not `none`: the consent page has been shown by then."""


class ConsentPageError(EntraMcpError):
    """FastMCP's page lacks what the form has to send back; this server's page does not fit its version."""


class ConsentPageProvider(AzureProvider):
    """Takes the answer of FastMCP's consent page, cookies included, and lays its hidden fields into another page."""

    brand: Brand

    @override
    async def _show_consent_page(self, request: Request) -> HTMLResponse | RedirectResponse:
        response = await super()._show_consent_page(request)
        if response.status_code != OK:
            return response
        fields = _HiddenFields(bytes(response.body).decode()).found
        transaction = await self._transaction_store.get(key=fields.get("txn_id", ""))
        if "csrf_token" not in fields:
            raise ConsentPageError("FastMCP's consent page has no csrf_token")
        if transaction is None:
            return HTMLResponse(status_code=400)
        client = await self.get_client(transaction.client_id)
        page = HTMLResponse(
            consent_page(
                ConsentRequest(
                    brand=self.brand,
                    client_id=transaction.client_id,
                    client_name=client.client_name if client else None,
                    redirect_uri=transaction.client_redirect_uri,
                    scopes=transaction.scopes,
                    permissions=self.additional_authorize_scopes or (),
                    fields=fields,
                )
            ),
            headers={"Content-Security-Policy": self.brand.policy},
        )
        for name, value in response.headers.items():
            if name == "set-cookie":
                page.headers.append(name, value)
        return page

    @override
    async def _submit_consent(self, request: Request) -> RedirectResponse | HTMLResponse:
        """Lets a person who pressed Allow again, while the first answer was on its way, go where that answer led."""
        response = await super()._submit_consent(request)
        if response.status_code != BAD_REQUEST:
            return self._hinted(request, response)
        form = await request.form()
        txn_id, action = str(form.get("txn_id", "")), form.get("action")
        transaction = await self._transaction_store.get(key=txn_id) if txn_id and action == "approve" else None
        if transaction is None or not transaction.consent_token:
            return response
        # The browser that approved has one of the two: the first answer's cookie, or still the page's own.
        bound = self._verify_consent_binding_cookie(request, txn_id, transaction.consent_token)
        name = self._cookie_name(_consent_state_base_name(str(form.get("csrf_token", ""))))
        shown, _ = self._read_consent_state_cookies(request).get(name, ("", 0.0))
        if not bound and shown != txn_id:
            return response
        again = RedirectResponse(self._build_upstream_authorize_url(txn_id, transaction.model_dump()), status_code=302)
        self._set_consent_binding_cookie(request, again, txn_id, transaction.consent_token)
        return self._hinted(request, again)

    def _hinted[T: Response](self, request: Request, response: T) -> T:
        """Passes on to Entra ID whom the client expects to sign in, and how; otherwise people choose an account."""
        upstream, _, query = response.headers.get("location", "").partition("?")
        if upstream == self._upstream_authorization_endpoint and (hints := hints_of(request.query_params)):
            kept = [(name, value) for name, value in parse_qsl(query) if name != "prompt"]
            response.headers["location"] = f"{upstream}?{urlencode([*kept, *hints.items()])}"
        return response


def hints_of(parameters: Mapping[str, str]) -> dict[str, str]:
    """Returns the parameters of OpenID Connect Core section 3.1.2.1 that Entra ID gets to see, when they came."""
    hints: dict[str, str] = {}
    if 0 < len(hint := parameters.get("login_hint", "")) <= HINT_CHARACTERS:
        hints["login_hint"] = hint
    if (prompt := parameters.get("prompt")) in PROMPTS:
        hints["prompt"] = prompt
    return hints


class _HiddenFields(HTMLParser):
    """The hidden inputs of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.feed(page)
        self.close()

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden":
            self.found[given.get("name") or ""] = given.get("value") or ""
