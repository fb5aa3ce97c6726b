"""Admits requests that were meant for this server, and from each of them what a client may say.

Threat: a page that a person happens to have open lets the browser call the server, or submit its consent form. With
DNS rebinding, a hostile site whose name suddenly points here is even of the same origin as this server
(https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning, RFC 9700 section 4.7).

Threat: there are no sessions here, yet FastMCP keeps what a tool stores with `ctx.set_state` under whatever
`mcp-session-id` the client sent, so one caller could read what another's tools have kept by sending the same id.

Threat: a route of the framework takes its path with a line break behind it too (`$` of a regular expression). All that
looks for the path itself does not: `/register%0A` would pass no limit, and `/consent%0A` no check of the origin.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from entra_mcp.request import REQUEST
from entra_mcp.urls import origins_pattern
from entra_mcp.web.answers import oauth_error
from entra_mcp.web.paths import MCP

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

SESSION_ID = b"mcp-session-id"


class Admission:
    """Answers 421 (RFC 9110 section 15.5.20) to requests for other hosts, and 403 to those from pages of other origins.

    A path with characters that nobody can see is none of this server's: 404. `hosts` are its names, on any port.
    `origins` are those that each path accepts; a request without one comes from no page. Session ids are removed from
    requests to `/mcp`.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], origins: Mapping[str, Collection[str]]) -> None:
        self.app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = {path: re.compile(origins_pattern(accepted)) for path, accepted in origins.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, accepted = REQUEST.get(), self._origins.get(scope["path"])
        if request is None or request.host not in self._hosts:
            response = oauth_error(
                HTTPStatus.MISDIRECTED_REQUEST,
                "misdirected_request",
                "This server does not answer for the host of the request.",
            )
            await response(scope, receive, send)
        elif not scope["path"].isprintable():
            await oauth_error(HTTPStatus.NOT_FOUND, "not_found", "There is nothing here.")(scope, receive, send)
        elif accepted is not None and not all(map(accepted.fullmatch, Headers(scope=scope).getlist("origin"))):
            response = oauth_error(
                HTTPStatus.FORBIDDEN, "forbidden_origin", "Pages of this origin may not call this server."
            )
            await response(scope, receive, send)
        else:
            if scope["path"] == MCP:
                headers = [header for header in scope["headers"] if header[0].lower() != SESSION_ID]
                scope = {**scope, "headers": headers}
            await self.app(scope, receive, send)
