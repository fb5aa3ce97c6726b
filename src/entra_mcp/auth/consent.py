"""Where a person comes back to who went to Entra ID only to allow a permission (`downstream/consent.py`).

The answer has a code in it that nobody asked for and nobody will redeem. Threat: anybody can send a browser here, so
the page is the same for everybody, and nothing happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from entra_mcp.downstream.consent import CONSENT_STATE

if TYPE_CHECKING:
    from starlette.requests import Request

ALLOWED = "You have allowed it. Close this window and ask your assistant again."
NOT_ALLOWED = "Nothing was allowed. Close this window; your administrator can allow it for you."

PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{told}</title></head><body style="font: 1rem/1.5 system-ui, sans-serif; margin: 3rem"><p>{told}</p></body></html>
"""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def consent_answer(request: Request) -> HTMLResponse | None:
    """The page for somebody who comes back from there; None for everybody else."""
    if request.query_params.get("state") != CONSENT_STATE:
        return None
    told = NOT_ALLOWED if "error" in request.query_params else ALLOWED
    return HTMLResponse(PAGE.format(told=told), headers=HEADERS)
