"""Takes for a call what some clients send in place of the exact one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entra_mcp.web.paths import MCP

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

ANYTHING = (b"accept", b"*/*")


class Lenience:
    """`/mcp/` is `/mcp`, and its metadata likewise; no `Accept` accepts anything (RFC 9110 section 12.5.1)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if path.endswith(f"{MCP}/"):
                path = path.removesuffix("/")
                scope = {**scope, "path": path, "raw_path": path.encode()}
            if path == MCP and all(name.lower() != b"accept" for name, _ in scope["headers"]):
                scope = {**scope, "headers": [*scope["headers"], ANYTHING]}
        await self.app(scope, receive, send)
