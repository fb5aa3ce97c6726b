"""The question for a permission that nobody allowed yet: clients that can open an address show the person a button.

Other clients get the message of the error, which names the address. So does a client that has asked already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from fastmcp.server.dependencies import get_context
from fastmcp.server.middleware import Middleware
from fastmcp.tools.base import InputRequiredToolResult
from mcp.types import ElicitRequest, ElicitRequestURLParams, ElicitResult, InputRequiredResult

from entra_mcp.downstream.refusals import ConsentRequiredError
from entra_mcp.toolkit.background import RUNNING
from entra_mcp.toolkit.questions import can_open

if TYPE_CHECKING:
    import mcp.types as mt
    from fastmcp.server.middleware import CallNext, MiddlewareContext
    from fastmcp.tools import ToolResult

QUESTION = "entra_consent"


class ConsentQuestions(Middleware):
    """Asks once in each call. Answers and state of the tool's own questions are kept apart from it."""

    @override
    async def on_call_tool(
        self,
        context: MiddlewareContext[mt.CallToolRequestParams],
        call_next: CallNext[mt.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        try:
            return await call_next(context)
        except ConsentRequiredError as error:
            caller = context.fastmcp_context
            # What a background task asks is shown later, by a client of which only its forms are known.
            if caller is None or RUNNING.get() is not None or not can_open(caller):
                raise
            if QUESTION in (caller.input_responses or {}):
                raise
            asked = ElicitRequest(params=ElicitRequestURLParams(message=error.question, url=error.url))
            return InputRequiredToolResult(
                InputRequiredResult(input_requests={QUESTION: asked}, request_state=caller.request_state)
            )


def consent_is_being_given() -> bool:
    """Whether the client of the current call has opened the address, where the person may still be."""
    answer = (get_context().input_responses or {}).get(QUESTION)
    return isinstance(answer, ElicitResult) and answer.action == "accept"
