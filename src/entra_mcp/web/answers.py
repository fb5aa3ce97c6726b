"""The refusal, which is an OAuth error object whichever route it was for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""Headers of every answer that may hold a token, and of the errors in its place (RFC 6749 section 5.1)."""


def oauth_error(status: int, error: str, description: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """Returns an error response in the form of RFC 6749 section 5.2, which RFC 7591 section 3.2.2 shares."""
    return JSONResponse({"error": error, "error_description": description}, status_code=status, headers=headers)
