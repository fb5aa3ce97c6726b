"""What the server says that it can do, where FastMCP (4.2.3) says more than is true.

Without sessions it cannot report that a list has changed. For the protocol 2026-07-28 the MCP library looks whether
clients can listen; for the others it does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

from fastmcp.apps import UI_EXTENSION_ID
from fastmcp.server.middleware import Middleware
from mcp.types import DiscoverResult

if TYPE_CHECKING:
    import mcp.types as mt
    from fastmcp.server.middleware import CallNext, MiddlewareContext


class TrueCapabilities(Middleware):
    """Takes back `listChanged`, and MCP Apps unless the server may have `interfaces` (SEP-1865)."""

    def __init__(self, *, interfaces: bool) -> None:
        self._interfaces = interfaces

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

    @override
    async def on_discover(
        self,
        context: MiddlewareContext[mt.DiscoverRequest],
        call_next: CallNext[mt.DiscoverRequest, DiscoverResult | dict[str, Any]],
    ) -> DiscoverResult | dict[str, Any]:
        answer = await call_next(context)
        if isinstance(answer, DiscoverResult) and not self._interfaces:
            (answer.capabilities.extensions or {}).pop(UI_EXTENSION_ID, None)
        return answer
