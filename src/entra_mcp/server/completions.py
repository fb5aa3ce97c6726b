"""Completions of what there is: a prompt or a template that the caller does not have is an error of the request.

FastMCP asks the app's function whatever the client names, and answers with an empty list
(https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/completion#error-handling wants -32602).
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, PromptReference

if TYPE_CHECKING:
    from fastmcp import FastMCP
    from fastmcp.server.completions import CompletionHandler, CompletionReference, CompletionValues
    from mcp.types import CompletionArgument, CompletionContext


def known_alone(complete: CompletionHandler, *, server: FastMCP) -> CompletionHandler:
    """Returns the app's function behind a look at what the server has for the caller."""

    async def checked(
        reference: CompletionReference, argument: CompletionArgument, context: CompletionContext | None
    ) -> CompletionValues:
        if isinstance(reference, PromptReference):
            known = await server.get_prompt(reference.name) is not None
        else:
            known = reference.uri in {template.uri_template for template in await server.list_resource_templates()}
        if not known:
            raise MCPError(INVALID_PARAMS, "Nothing of that name has arguments to complete")
        # In a thread, since a function that is not asynchronous may wait for something.
        values = await asyncio.to_thread(complete, reference, argument, context)
        return await values if inspect.isawaitable(values) else values

    return checked
