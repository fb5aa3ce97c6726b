"""Shows this server's own consent page in place of FastMCP's; what consent means and how it is kept stays FastMCP's."""

from __future__ import annotations

import time
from hashlib import sha256
from html.parser import HTMLParser
from http import HTTPStatus
from typing import TYPE_CHECKING, override
from urllib.parse import parse_qsl, urlencode

from starlette.responses import HTMLResponse, RedirectResponse

from entra_mcp.errors import EntraMcpError
from entra_mcp.request import REQUEST
from entra_mcp.storage.collections import CONSENT_PAGES, TRANSACTIONS
from entra_mcp.web.pages.consent import ConsentRequest, consent_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from key_value.aio.protocols import AsyncKeyValue
    from mcp.shared.auth import OAuthClientInformationFull
    from starlette.requests import Request
    from starlette.responses import Response

    from entra_mcp.auth.endpoints import Handle
    from entra_mcp.auth.entra.app import EntraApp
    from entra_mcp.settings import Settings
    from entra_mcp.web.pages.layout import Brand

EXPIRES_AT_ONCE = "Max-Age=0"

PAGE_SECONDS = 15 * 60
"""How long FastMCP keeps a transaction, and with it the form of its page good."""

HINT_CHARACTERS = 254
"""The longest address of a mailbox (RFC 5321 section 4.5.3.1)."""

PROMPTS = ("login", "select_account", "consent")
"""Not `none`: the consent page has been shown by then."""

DENIED = "The person denied access on the consent page. Nothing was shared. Connect again to be asked again."


class ConsentPageError(EntraMcpError):
    """FastMCP's page lacks what the form has to send back; this server's page does not fit its version."""


class ConsentEndpoint:
    """Takes the answer of FastMCP's consent page, cookies included, and lays its hidden fields into another page."""

    def __init__(
        self,
        handle: Handle,
        *,
        settings: Settings,
        brand: Brand,
        storage: AsyncKeyValue,
        get_client: Callable[[str], Awaitable[OAuthClientInformationFull | None]],
        app: EntraApp,
        permissions: Sequence[str],
    ) -> None:
        """`permissions` are what Entra ID is asked for beyond the scopes of the client."""
        self._handle = handle
        self._brand = brand
        self._storage = storage
        self._get_client = get_client
        self._given_endpoint = f"{app.issuers}{app.tenant_id}/oauth2/v2.0/authorize"
        self._authorization_endpoint = settings.authorization_endpoint or self._given_endpoint
        self._permissions = permissions
        self._usual = settings.required_scopes

    async def handle(self, request: Request) -> Response:
        if request.method == "POST":
            await _vouch_for_page(request)
        response = await self._handle(request)
        if response.status_code == HTTPStatus.OK:
            return await self._own_page(response)
        upstream, _, query = response.headers.get("location", "").partition("?")
        return self._to_entra(request, response, query) if upstream == self._given_endpoint else explained(response)

    async def _own_page(self, response: Response) -> Response:
        fields = _HiddenFields(bytes(response.body).decode()).found
        if "csrf_token" not in fields:
            raise ConsentPageError("FastMCP's consent page has no csrf_token")
        transaction = await self._storage.get(fields.get("txn_id", ""), collection=TRANSACTIONS)
        if transaction is None:
            return HTMLResponse(status_code=HTTPStatus.BAD_REQUEST)
        client = await self._get_client(transaction["client_id"])
        page = HTMLResponse(
            consent_page(
                ConsentRequest(
                    brand=self._brand,
                    client_id=transaction["client_id"],
                    client_name=client.client_name if client else None,
                    redirect_uri=transaction["client_redirect_uri"],
                    scopes=transaction["scopes"],
                    further=[scope for scope in transaction["scopes"] if scope not in self._usual],
                    permissions=self._permissions,
                    fields=fields,
                )
            ),
            headers={"Content-Security-Policy": self._brand.policy},
        )
        for cookie in response.headers.getlist("set-cookie"):
            page.headers.append("set-cookie", cookie)
        return page

    def _to_entra(self, request: Request, response: Response, query: str) -> Response:
        """Passes on to Entra ID whom the client expects to sign in, and how.

        For a client that says neither, FastMCP's `prompt=select_account` stays, though nobody asked for it. Without it
        Entra ID takes the account at hand without a question. For people with several accounts that is often the wrong
        one, and who pressed Allow by habit gets no second look. A client that names the account has chosen already.

        The cookies of the page stay: a person who goes back, or presses Allow again while the first answer is on its
        way, sends the same form and is led the same way.
        """
        hints = hints_of(request.query_params)
        kept = [(name, value) for name, value in parse_qsl(query) if not (hints and name == "prompt")]
        location = f"{self._authorization_endpoint}?{urlencode([*kept, *hints.items()])}"
        answer = RedirectResponse(location, status_code=response.status_code)
        for cookie in response.headers.getlist("set-cookie"):
            if EXPIRES_AT_ONCE not in cookie:
                answer.headers.append("set-cookie", cookie)
        return answer


async def _vouch_for_page(request: Request) -> None:
    """Stands in for the row of the page, which FastMCP looks for first: that this form belongs to this transaction.

    Next it looks for the page's cookie. That is signed and says the same of this browser, so no row is written.
    """
    form, current = await request.form(), REQUEST.get()
    if current is not None:
        page = sha256(str(form.get("csrf_token", "")).encode()).hexdigest()
        current.known[CONSENT_PAGES, page] = {
            "txn_id": str(form.get("txn_id", "")),
            "expires_at": time.time() + PAGE_SECONDS,
        }


def explained(response: Response) -> Response:
    """Says why in a denial: clients show the description as their whole message (RFC 6749 section 4.1.2.1)."""
    location = response.headers.get("location", "")
    if "error=access_denied" in location.partition("?")[2].split("&"):
        response.headers["location"] = f"{location}&{urlencode({'error_description': DENIED})}"
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
