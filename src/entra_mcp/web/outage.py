"""Distinguishes an outage from an error of the request.

A client takes 401 for the end of its tokens and asks its user to sign in again, and 500 for good. Both are wrong when
Table Storage, Key Vault or Entra ID is away for a moment: the tokens are still good, and the same request works soon.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

from entra_mcp.errors import DependencyError, UpstreamUnavailableError
from entra_mcp.web.answers import NO_STORE, RETRY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.datastructures import Headers


CONTENT = {
    "error": "temporarily_unavailable",
    "error_description": "Something this server depends on does not answer. Try again in a moment; you stay signed in.",
}

OUR_FAULT = frozenset({"server_error", "temporarily_unavailable"})
"""Errors of an authorization response that say nothing of the request (RFC 6749 section 4.1.2.1)."""

logger = logging.getLogger(__name__)


def unavailable_headers(failures: Sequence[DependencyError]) -> dict[str, str]:
    """Headers of the 503 that stands for an outage, with the wait that Entra ID asks for (RFC 9110 section 10.2.3)."""
    waits = [failure.retry_after for failure in failures if isinstance(failure, UpstreamUnavailableError)]
    seconds = max([wait for wait in waits if wait is not None], default=RETRY_SECONDS)
    return {**NO_STORE, "Retry-After": str(seconds)}


def is_failure(status: int, headers: Headers, content: Mapping[str, Any] | None) -> bool:
    """Whether an answer says that the request failed; MCP and redirects say so in their content."""
    if status >= HTTPStatus.BAD_REQUEST:
        return True
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        query = parse_qs(urlsplit(headers.get("location", "")).query)
        return bool(OUR_FAULT & set(query.get("error", ())))
    result: Any = (content or {}).get("result")
    return "error" in (content or {}) or (
        isinstance(result, dict) and bool(cast("dict[str, Any]", result).get("isError"))
    )
