"""Lets scripts in browsers read what an MCP client needs: metadata, registration, tokens, and `/mcp` if it may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware

from entra_mcp.urls import origins_pattern
from entra_mcp.web.edge import CORRELATION_ID
from entra_mcp.web.paths import MCP, REGISTER, REVOKE, TOKEN, WELL_KNOWN

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Receive, Scope, Send

PUBLIC = frozenset({TOKEN, REGISTER, REVOKE})
"""Endpoints of OAuth that read no cookie, so that a foreign page gets nothing but what it brings itself."""

EXPOSED = ("WWW-Authenticate", "MCP-Session-Id", "MCP-Protocol-Version", "Retry-After", CORRELATION_ID)

PREFLIGHT_SECONDS = 3600


class Cors:
    """Answers any origin on the metadata and the public endpoints, and on `/mcp` the given ones alone."""

    def __init__(self, app: ASGIApp, *, mcp_origins: Collection[str]) -> None:
        self.app = app
        self._public = CORSMiddleware(
            app,
            allow_origins=["*"],
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_SECONDS,
        )
        self._mcp = CORSMiddleware(
            app,
            allow_origin_regex=origins_pattern(mcp_origins),
            # GET too: a page of an older client tries it, and shall be able to read the 405.
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_SECONDS,
        )
        self._mcp_is_open = bool(mcp_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._for(scope["path"]) if scope["type"] == "http" else self.app
        await app(scope, receive, send)

    def _for(self, path: str) -> ASGIApp:
        if path in PUBLIC or path.startswith(WELL_KNOWN):
            return self._public
        return self._mcp if path == MCP and self._mcp_is_open else self.app
