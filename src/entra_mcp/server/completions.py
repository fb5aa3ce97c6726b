"""Completions of what there is: a prompt or a template that the caller does not have is an error of the request.

FastMCP answers with an empty list, after which a client goes on
(https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/completion#error-handling wants -32602).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

from fastmcp.server.middleware import Middleware
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS

if TYPE_CHECKING:
    from fastmcp import FastMCP
    from fastmcp.server.middleware import CallNext, MiddlewareContext

COMPLETION = "completion/complete"


class KnownCompletions(Middleware):
    """Looks at what `server` has for the caller before its completions are asked."""

    def __init__(self, server: FastMCP) -> None:
        self._server = server

    @override
    async def on_request(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        if context.method == COMPLETION and not await self._knows(context.message.get("ref")):
            raise MCPError(INVALID_PARAMS, "Nothing of that name has arguments to complete")
        return await call_next(context)

    async def _knows(self, reference: Any) -> bool:  # noqa: ANN401 - as the client sent it; FastMCP looks at its form
        match reference:
            case {"type": "ref/prompt", "name": str(name)}:
                return await self._server.get_prompt(name) is not None
            case {"type": "ref/resource", "uri": str(uri)}:
                return uri in {template.uri_template for template in await self._server.list_resource_templates()}
            case _:
                return True
