"""Shows this server's own consent page in place of FastMCP's; what consent means and how it is kept stays FastMCP's."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, override

from fastmcp.server.auth.providers.azure import AzureProvider
from starlette.responses import HTMLResponse

from entra_mcp.errors import EntraMcpError
from entra_mcp.web.pages.consent import ConsentRequest, consent_page
from entra_mcp.web.pages.layout import POLICY

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import RedirectResponse

OK = 200


class ConsentPageError(EntraMcpError):
    """FastMCP's page lacks what the form has to send back; this server's page does not fit its version."""


class ConsentPageProvider(AzureProvider):
    """Takes the answer of FastMCP's consent page, cookies included, and lays its hidden fields into another page."""

    server_name: str

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
                    server_name=self.server_name,
                    client_id=transaction.client_id,
                    client_name=client.client_name if client else None,
                    redirect_uri=transaction.client_redirect_uri,
                    scopes=transaction.scopes,
                    fields=fields,
                )
            ),
            headers={"Content-Security-Policy": POLICY},
        )
        for name, value in response.headers.items():
            if name == "set-cookie":
                page.headers.append(name, value)
        return page


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
