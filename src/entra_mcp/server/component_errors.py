"""What clients get to read, and the log says, when a tool or a prompt fails.

FastMCP (4.2.3) logs an unforeseen error with its traceback, but of a `ToolError`, and of an answer of another API that
`raise_for_status` refused, the name of the tool alone. A cancellation that comes from within, since somebody else
cancelled what the tool waited for, ends the request as if the client had gone: without an answer or a line in the log.

It answers a tool that does not exist with the result of a tool. Arguments that a prompt lacks are an internal error to
it, and for what does not exist it completes with nothing, after which a client goes on. The specification has -32602
for each (https://modelcontextprotocol.io/specification/2025-11-25/server/tools#error-handling, and of the others).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, override

from fastmcp.exceptions import DisabledError, NotFoundError, PromptError, ToolError, ValidationError
from fastmcp.server.middleware import Middleware
from fastmcp.utilities.exceptions import get_http_status_code
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS

from entra_mcp.downstream.consent_question import consent_question
from entra_mcp.downstream.refusals import ConsentRequiredError

if TYPE_CHECKING:
    import mcp.types as mt
    from fastmcp import FastMCP
    from fastmcp.prompts import PromptResult
    from fastmcp.server.middleware import CallNext, MiddlewareContext
    from fastmcp.tools import ToolResult

MAX_CHARACTERS = 4_000
"""Of what is wrong with arguments: enough for a model to correct them, whatever was sent."""

CONVERSION = "Could not convert argument"
"""How the message of FastMCP begins when the text of a prompt's argument is not of the argument's type."""

COMPLETION = "completion/complete"

logger = logging.getLogger(__name__)


class ComponentErrors(Middleware):
    """Logs what is not logged yet, and gives errors of the request the code and the length that they should have.

    A missing consent becomes a question, where the client can ask it.
    """

    def __init__(self, server: FastMCP, *, completes: bool) -> None:
        """Takes the server that has the components, of which a caller may see some alone.

        `completes` says whether it completes arguments: otherwise that is a method that it does not have.
        """
        self._server = server
        self._completes = completes

    @override
    async def on_request(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        if self._completes and context.method == COMPLETION and not await self._knows(context.message.get("ref")):
            raise MCPError(INVALID_PARAMS, "Nothing of that name has arguments to complete")
        return await call_next(context)

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
        except (DisabledError, NotFoundError) as error:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {name!r}") from error
        except ValidationError as error:
            error.args = (_shortened(str(error)),)
            raise
        except ConsentRequiredError as error:
            if (question := consent_question(error)) is None:
                raise
            return question
        except ToolError as error:
            cause = error.__cause__
            explained = str(error) == unforeseen and cause is not None and get_http_status_code(cause) is None
            # Whoever chose a lower level has logged the reason already.
            if not explained and error.log_level >= logging.WARNING:
                logger.log(error.log_level, "Tool %s failed.", name, exc_info=error)
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            logger.exception("What tool %s waited for was cancelled.", name)
            raise ToolError(unforeseen) from error

    @override
    async def on_get_prompt(
        self,
        context: MiddlewareContext[mt.GetPromptRequestParams],
        call_next: CallNext[mt.GetPromptRequestParams, PromptResult],
    ) -> PromptResult:
        prompt = await self._server.get_prompt(context.message.name)
        required = {each.name for each in (prompt.arguments or ()) if each.required} if prompt else set[str]()
        if missing := required - (context.message.arguments or {}).keys():
            raise MCPError(INVALID_PARAMS, f"Missing required arguments: {', '.join(sorted(missing))}")
        try:
            return await call_next(context)
        except PromptError as error:
            if not str(error).startswith(CONVERSION):
                raise
            raise MCPError(INVALID_PARAMS, _shortened(str(error))) from error

    async def _knows(self, reference: Any) -> bool:  # noqa: ANN401 - as the client sent it; FastMCP looks at its form
        match reference:
            case {"type": "ref/prompt", "name": str(name)}:
                return await self._server.get_prompt(name) is not None
            case {"type": "ref/resource", "uri": str(uri)}:
                return uri in {template.uri_template for template in await self._server.list_resource_templates()}
            case _:
                return True


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} ... ({len(text)} characters)"
