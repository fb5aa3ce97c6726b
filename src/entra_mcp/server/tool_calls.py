"""Sees to it that the log says why a tool call failed, also where FastMCP leaves that out.

FastMCP (4.1.2) logs an unforeseen error with its traceback, but of a `ToolError`, and of an answer of another API that
`raise_for_status` refused, the name of the tool alone. And a cancellation that comes from within, since somebody else
cancelled what the tool waited for, ends the request as if the client had gone: without an answer or a line in the log.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, override

from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import Middleware
from fastmcp.utilities.exceptions import get_http_status_code

if TYPE_CHECKING:
    import mcp.types as mt
    from fastmcp.server.middleware import CallNext, MiddlewareContext
    from fastmcp.tools import ToolResult

logger = logging.getLogger(__name__)


class ToolCalls(Middleware):
    """Logs what is not logged yet; the client is told what it would be told anyway."""

    @override
    async def on_call_tool(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        name = context.message.name
        unforeseen = f"Error calling tool {name!r}"
        try:
            return await call_next(context)
        except ToolError as error:
            cause = error.__cause__
            told = str(error) == unforeseen and cause is not None and get_http_status_code(cause) is None
            # Whoever chose a lower level has logged the reason already.
            if not told and error.log_level >= logging.WARNING:
                logger.log(error.log_level, "Tool %s failed.", name, exc_info=error)
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            logger.exception("What tool %s waited for was cancelled.", name)
            raise ToolError(unforeseen) from error
