"""The question for a permission that nobody allowed yet: clients that can open an address show the person a button.

Other clients get the message of the error, which names the address. So does a client that has asked already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastmcp.server.dependencies import get_context
from fastmcp.tools.base import InputRequiredToolResult
from mcp.types import ElicitRequest, ElicitRequestURLParams, ElicitResult, InputRequiredResult

from entra_mcp.toolkit.background import RUNNING
from entra_mcp.toolkit.questions import can_open

if TYPE_CHECKING:
    from entra_mcp.downstream.refusals import ConsentRequiredError

QUESTION = "entra_consent"


def consent_question(error: ConsentRequiredError) -> InputRequiredToolResult | None:
    """What asks for the consent, once in each call; None where the client cannot, or has asked already.

    Answers and state of the tool's own questions are kept apart from it.
    """
    context = get_context()
    # What a background task asks is shown later, by a client of which only its forms are known.
    if RUNNING.get() is not None or not can_open(context) or QUESTION in (context.input_responses or {}):
        return None
    asked = ElicitRequest(params=ElicitRequestURLParams(message=error.question, url=error.url))
    return InputRequiredToolResult(
        InputRequiredResult(input_requests={QUESTION: asked}, request_state=context.request_state)
    )


def consent_is_being_given() -> bool:
    """Whether the client of the current call has opened the address, where the person may still be."""
    answer = (get_context().input_responses or {}).get(QUESTION)
    return isinstance(answer, ElicitResult) and answer.action == "accept"
