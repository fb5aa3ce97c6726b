"""Refuses requests for hosts that are not this server's.

Threat: DNS rebinding. A page of a hostile site whose name suddenly points here would be of the same origin as this
server (https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from entra_mcp.web.answers import refusal
from entra_mcp.web.forwarded import requested_host

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Receive, Scope, Send


class AllowedHosts:
    """Lets requests for the given host names pass, on any port; 421 for all others (RFC 9110 section 15.5.20)."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str]) -> None:
        self.app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and requested_host(scope) not in self._hosts:
            response = refusal(421, "misdirected_request", "This server does not answer for the host of the request.")
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)
