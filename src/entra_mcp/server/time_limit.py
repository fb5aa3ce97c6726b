"""Ends a tool that takes too long, before the Functions host does.

The host gives an invocation `functionTimeout` (host.json); when that is over it restarts the worker, and every call
that runs there ends with it. One user's slow call must not end the calls of others.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, override

from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import Middleware

from entra_mcp.patience import lift_request_deadline

if TYPE_CHECKING:
    import mcp.types as mt
    from fastmcp.server.middleware import CallNext, MiddlewareContext
    from fastmcp.tools import ToolResult

TOOL_SECONDS = 240.0
"""Less than `functionTimeout`, with time to spare for what goes before and after."""

logger = logging.getLogger(__name__)


class ToolTimeLimit(Middleware):
    """Cancels a tool after so many seconds; the client hears why."""

    def __init__(self, *, seconds: float = TOOL_SECONDS) -> None:
        self._seconds = seconds

    @override
    async def on_message(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        # It was authenticated in time. What it asks for may take longer than an answer of the server's own.
        lift_request_deadline()
        return await call_next(context)

    @override
    async def on_call_tool(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        limit = asyncio.timeout(self._seconds)
        try:
            async with limit:
                return await call_next(context)
        except TimeoutError:
            if not limit.expired():
                raise
            logger.warning("Tool %s was ended after %.0f s.", context.message.name, self._seconds)
            raise ToolError(f"This took longer than {self._seconds:.0f} s, and was ended. Ask for less.") from None
