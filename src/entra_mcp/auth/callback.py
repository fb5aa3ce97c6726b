"""Where Entra ID sends people back to: brings its answer to the client, a refusal of this server included.

Somebody who went there only to allow a permission (`downstream/consent.py`) comes back here too. That answer has a code
in it that nobody asked for and nobody will redeem. Threat: anybody can send a browser here, so the page is the same for
everybody, and nothing happens.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import Request

from entra_mcp.auth.entra.refusals import described_refusal
from entra_mcp.downstream.consent import CONSENT_STATE
from entra_mcp.errors import StorageError
from entra_mcp.request import REQUEST
from entra_mcp.storage.collections import TRANSACTIONS
from entra_mcp.web.pages.layout import page

if TYPE_CHECKING:
    from key_value.aio.protocols import AsyncKeyValue
    from starlette.responses import Response

    from entra_mcp.auth.endpoints import Handle
    from entra_mcp.web.pages.layout import Brand

UPSTREAM_ERRORS = frozenset(
    {
        "access_denied",
        "temporarily_unavailable",
        "interaction_required",
        "login_required",
        "account_selection_required",
        "consent_required",
    }
)
"""Errors of Entra ID that a client can act upon (OpenID Connect Core section 3.1.2.6)."""

ALLOWED = "<h1>You have allowed it</h1><p>Close this window and ask your assistant again.</p>"
NOT_ALLOWED = "<h1>Nothing was allowed</h1><p>Close this window. Your administrator can allow it for you.</p>"

logger = logging.getLogger(__name__)


class CallbackEndpoint:
    """Wraps FastMCP's callback. An error reaches the client at its redirect URI (RFC 6749 section 4.1.2.1).

    Anybody can write the address of this page, so nothing but Entra ID's codes is taken over from an error.

    Threat: who consented can write any code into that address. The first one that is refused ends the transaction, on
    every instance: one consent would be good for any number of requests to Entra ID.
    """

    def __init__(self, handle: Handle, *, brand: Brand, rows: AsyncKeyValue) -> None:
        """`rows` deletes transactions, which the storage of FastMCP keeps."""
        self._handle = handle
        self._brand = brand
        self._rows = rows

    async def handle(self, request: Request) -> Response:
        failed = "error" in request.query_params
        if request.query_params.get("state") == CONSENT_STATE:
            return page("Permission", NOT_ALLOWED if failed else ALLOWED, brand=self._brand)
        if failed:
            return await self._handle(_with_entra_error(request))
        response = await self._handle(request)
        current = REQUEST.get()
        if current is None or current.advice is None:
            return response
        try:
            await self._rows.delete(request.query_params["state"], collection=TRANSACTIONS)
        except StorageError as error:
            logger.warning("A refused sign-in can come back until it expires: %s", error)
        # What FastMCP does with an error of Entra ID is what this refusal needs too; it has read the transaction.
        return await self._handle(_with_error(request, "access_denied", current.advice))


def _with_entra_error(request: Request) -> Request:
    """The request with nothing of its error but codes of Entra ID: anybody can write such a link."""
    sent = request.query_params
    return _with_error(
        request,
        sent["error"] if sent["error"] in UPSTREAM_ERRORS else "server_error",
        described_refusal(sent.get("error_description", "")),
    )


def _with_error(request: Request, error: str, description: str) -> Request:
    """The request with an error for its parameters; the state stays."""
    query = {"error": error, "error_description": description, "state": request.query_params.get("state", "")}
    return Request({**request.scope, "query_string": urlencode(query).encode()})
