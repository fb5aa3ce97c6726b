"""What `initialize` offers: a server without sessions cannot report that a list has changed.

FastMCP (4.2.3) says that it can. Only for the protocol 2026-07-28 the MCP library looks whether clients can listen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from fastmcp.server.middleware import Middleware

if TYPE_CHECKING:
    import mcp.types as mt
    from fastmcp.server.middleware import CallNext, MiddlewareContext


class NoListChanges(Middleware):
    """Takes `listChanged` back."""

    @override
    async def on_initialize(
        self,
        context: MiddlewareContext[mt.InitializeRequest],
        call_next: CallNext[mt.InitializeRequest, mt.InitializeResult | None],
    ) -> mt.InitializeResult | None:
        answer = await call_next(context)
        if answer is not None:
            capabilities = answer.capabilities
            for each in (capabilities.tools, capabilities.resources, capabilities.prompts):
                if each is not None:
                    each.list_changed = False
        return answer
