"""Tells a tool whose own waiting was cancelled from a call that was cancelled.

A task or a future that a tool waits for may be cancelled by whoever else has it, a pool that closes for example. The
error is the same as when the client goes away, which ends the request without an answer and without a line in the log.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, override

from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import Middleware

if TYPE_CHECKING:
    import mcp.types as mt
    from fastmcp.server.middleware import CallNext, MiddlewareContext
    from fastmcp.tools import ToolResult

logger = logging.getLogger(__name__)


class CancelledWithin(Middleware):
    """Makes a failure of the tool, as any other, of a cancellation that nobody asked this call for."""

    @override
    async def on_call_tool(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        try:
            return await call_next(context)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            name = context.message.name
            logger.exception("What tool %s waited for was cancelled.", name)
            raise ToolError(f"Error calling tool {name!r}", log_level=logging.INFO) from error
