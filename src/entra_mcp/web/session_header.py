"""Takes session ids of the outside away from the stateless MCP transport.

Threat: there are no sessions here, yet FastMCP keeps what a tool stores with `ctx.set_state` under whatever
`mcp-session-id` the client sent, so one caller could read what another's tools have kept by sending the same id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from entra_mcp.web.paths import MCP

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

SESSION_ID = b"mcp-session-id"


class SessionHeader:
    """Removes `mcp-session-id` from requests to `/mcp`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == MCP:
            headers = [(name, value) for name, value in scope["headers"] if name.lower() != SESSION_ID]
            scope = {**scope, "headers": headers}
        await self.app(scope, receive, send)
