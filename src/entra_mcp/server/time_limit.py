"""Ends an MCP request whose time is over, and says why in the answer to that very request."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, override

from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import Middleware
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR

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
        limit = asyncio.timeout_at(deadline.at)
        try:
            async with limit:
                return await call_next(context)
        except TimeoutError:
            if not limit.expired():
                raise
        name = str(context.message.name) if context.method == TOOL_CALL else ""
        logger.warning("%s was ended after %g s.", f"{context.method} {name}".strip(), deadline.seconds)
        message = f"This took longer than {deadline.seconds:g} s, and was ended. Ask for less."
        # A model sees the text of a tool's error; an error of the protocol may stay with its client.
        raise ToolError(message) if name else MCPError(INTERNAL_ERROR, message)
