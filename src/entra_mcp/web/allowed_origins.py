"""Refuses calls and forms that come from pages of other sites.

Threat: a page that a person happens to have open makes the browser call the server, or submit its consent form
(https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning, RFC 9700 section 4.7).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from entra_mcp.web.answers import refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send


class AllowedOrigins:
    """Checks `Origin` on the given paths, each with the origins it accepts; requests without one come from no page."""

    def __init__(self, app: ASGIApp, *, origins: Mapping[str, Collection[str]]) -> None:
        self.app = app
        self._origins = {path: frozenset(accepted) for path, accepted in origins.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accepted = self._origins.get(scope["path"]) if scope["type"] == "http" else None
        if accepted is not None and any(origin not in accepted for origin in Headers(scope=scope).getlist("origin")):
            response = refusal(403, "forbidden_origin", "Pages of this origin may not call this server.")
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)
