"""The refusal, which is an OAuth error object whichever route it was for, also where the server cannot answer now."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""Headers of every answer that may hold a token, and of the errors in its place (RFC 6749 section 5.1)."""

RETRY_SECONDS = 5
"""How long a client should wait that was answered 503."""


def oauth_error(status: int, error: str, description: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """Returns an error response in the form of RFC 6749 section 5.2, which RFC 7591 section 3.2.2 shares."""
    return JSONResponse({"error": error, "error_description": description}, status_code=status, headers=headers)


def unavailable(description: str, *, retry_seconds: int = RETRY_SECONDS) -> Response:
    """Returns the 503 for a request that will succeed a little later (RFC 9110 section 15.6.4)."""
    headers = {**NO_STORE, "Retry-After": str(retry_seconds)}
    return oauth_error(HTTPStatus.SERVICE_UNAVAILABLE, "temporarily_unavailable", description, headers=headers)
