"""The question for a permission that nobody allowed yet: clients that can open an address show the person a button.

Other clients get the message of the error, which names the address. So does a client whose call is in a conversation
already, this one or the tool's own: the answers of earlier rounds would be lost, and the tool would ask again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastmcp.server.dependencies import get_context
from fastmcp.tools.base import InputRequiredToolResult
from mcp.types import ElicitRequest, ElicitRequestURLParams, InputRequiredResult

from entra_mcp.toolkit.background import RUNNING
from entra_mcp.toolkit.questions import accepted, can_open

if TYPE_CHECKING:
    from entra_mcp.downstream.refusals import ConsentRequiredError


def consent_question(error: ConsentRequiredError) -> InputRequiredToolResult | None:
    """What asks for the consent in the first round of a call; None where that cannot be."""
    context = get_context()
    begun = bool(context.input_responses) or context.request_state is not None
    # What a background task asks is shown later, by a client of which only its forms are known.
    if begun or RUNNING.get() is not None or not can_open(context):
        return None
    asked = ElicitRequest(params=ElicitRequestURLParams(message=error.text, url=error.url))
    return InputRequiredToolResult(InputRequiredResult(input_requests={error.question: asked}))


def address_is_open(question: str) -> bool:
    """Whether the client has opened the address of the question, where the person may still be."""
    return accepted(get_context(), question) is not None
