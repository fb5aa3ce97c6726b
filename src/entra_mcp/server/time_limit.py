"""Ends an MCP request whose time is over, and says why in the answer to that very request.

What a request asks for runs as a task of its own. So it is cancelled once, has a few seconds to clean up, and the
request ends even if it ignores that. The SDK's own cancellation comes again at every `await`, those of a clean-up
included, and waits for threads until they end.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, override

from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import Middleware
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR

from entra_mcp.cancellation import end
from entra_mcp.request import REQUEST, lift_silence_limit

if TYPE_CHECKING:
    from fastmcp.server.middleware import CallNext, MiddlewareContext

TOOL_CALL = "tools/call"

logger = logging.getLogger(__name__)


class RequestTimeLimit(Middleware):
    """Cancels what runs when the deadline comes: a tool, a resource, a prompt, a completion, a list."""

    @override
    async def on_request(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        # It was authenticated in time. What it asks for may take longer than an answer of the server's own.
        lift_silence_limit()
        request = REQUEST.get()
        deadline = request.deadline if request else None
        if deadline is None:
            return await call_next(context)
        work: asyncio.Task[Any] = asyncio.ensure_future(call_next(context))
        left = deadline.at - asyncio.get_running_loop().time()
        try:
            await asyncio.wait([work], timeout=max(0.0, left))
        except asyncio.CancelledError:
            await _end(context, work)
            raise
        if work.done():
            return work.result()
        await _end(context, work)
        if work.done() and not work.cancelled():
            return work.result()
        logger.warning("%s was ended after %g s.", _name(context), deadline.seconds)
        message = f"This took longer than {deadline.seconds:g} s, and was ended. Ask for less."
        # A model sees the text of a tool's error; an error of the protocol may stay with its client.
        raise ToolError(message) if context.method == TOOL_CALL else MCPError(INTERNAL_ERROR, message)


async def _end(context: MiddlewareContext[Any], work: asyncio.Task[Any]) -> None:
    if not await end(work):
        logger.error("%s ignores its cancellation, and goes on without anybody waiting for it.", _name(context))


def _name(context: MiddlewareContext[Any]) -> str:
    return f"{context.method} {context.message.name}" if context.method == TOOL_CALL else str(context.method)
