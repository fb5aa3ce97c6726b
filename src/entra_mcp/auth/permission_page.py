"""Where a person comes back to who went to Entra ID only to allow a permission (`downstream/consent.py`).

The answer has a code in it that nobody asked for and nobody will redeem. Threat: anybody can send a browser here, so
the page is the same for everybody, and nothing happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from entra_mcp.downstream.consent import CONSENT_STATE
from entra_mcp.web.pages.layout import page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import HTMLResponse

    from entra_mcp.web.pages.layout import Brand

ALLOWED = "<h1>You have allowed it</h1><p>Close this window and ask your assistant again.</p>"
NOT_ALLOWED = "<h1>Nothing was allowed</h1><p>Close this window. Your administrator can allow it for you.</p>"


def permission_answer(request: Request, *, brand: Brand) -> HTMLResponse | None:
    """The page for somebody who comes back from there; None for everybody else."""
    if request.query_params.get("state") != CONSENT_STATE:
        return None
    message = NOT_ALLOWED if "error" in request.query_params else ALLOWED
    return page("Permission", message, brand=brand)
