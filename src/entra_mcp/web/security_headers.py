"""Headers that keep browsers from framing, sniffing, storing and leaking what this server answers.

Threat: a consent page in an invisible frame, on which a person clicks unknowingly (RFC 9700 section 4.16).
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from entra_mcp.web.paths import OAUTH

if TYPE_CHECKING:
    from starlette.datastructures import MutableHeaders

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

UNLESS_SET = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    # Not `no-referrer`: with that a browser sends `Origin: null` with the consent form, and the check of the origin
    # could not distinguish it from a foreign one (https://fetch.spec.whatwg.org/#append-a-request-origin-header).
    "Referrer-Policy": "same-origin",
}

TRANSPORT_SECURITY = "max-age=31536000"
"""One year, for this host alone: what other hosts of the domain do is not this server's to decide."""


class SecurityHeaders:
    """What every response gets; `https` says whether clients reach the server that way."""

    def __init__(self, *, https: bool) -> None:
        self._always = ALWAYS | ({"Strict-Transport-Security": TRANSPORT_SECURITY} if https else {})

    def add_to(self, headers: MutableHeaders, *, path: str, status: int) -> None:
        headers.update(self._always)
        for name, value in UNLESS_SET.items():
            headers.setdefault(name, value)
        # Nobody may keep it (RFC 6749 section 5.1); what says nothing of itself is taken for private.
        if (
            path in OAUTH
            or status >= HTTPStatus.BAD_REQUEST
            or "cache-control" not in headers
            or headers.get("content-type", "").startswith("text/html")
        ):
            headers["Cache-Control"] = "no-store"
