"""Questions that a tool asks the person in the middle of its work, without an instance that waits for the answer.

The tool returns its questions and ends. The client asks the person and calls the tool again, with the answers and with
the state that the tool gave it, which FastMCP seals and opens (`RequestStateSecurity` in server/create.py): the next
round may run anywhere. Clients of the protocols before 2026-07-28 cannot do that; they keep a connection open for
questions, and the answer comes in a request of its own, which here lands on any instance. They are told to ask in the
conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastmcp.server.elicitation import get_elicitation_schema
from mcp.types import (
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from fastmcp import Context


def can_ask(context: Context) -> bool:
    """Whether this client can be asked: it speaks a protocol with rounds, and shows forms."""
    request = context.request_context
    if request is None or request.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return False
    capabilities = request.session.client_capabilities
    elicitation = None if capabilities is None else capabilities.elicitation
    # Naming no mode means forms: there was no other mode at first.
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def ask(name: str, form: type[BaseModel], message: str, *, state: str) -> InputRequiredResult:
    """What a tool returns to have the person fill in a form of simple fields; `state` comes back with the answer."""
    params = ElicitRequestFormParams(message=message, requested_schema=get_elicitation_schema(form))
    return InputRequiredResult(input_requests={name: ElicitRequest(params=params)}, request_state=state)


def answered[Form: BaseModel](context: Context, name: str, form: type[Form]) -> Form | None:
    """The person's answer to the question of that name; None when there is none that fits: then ask again."""
    answer = (context.input_responses or {}).get(name)
    if not isinstance(answer, ElicitResult) or answer.action != "accept":
        return None
    try:
        return form.model_validate(answer.content or {})
    except ValidationError:
        return None


def declined(context: Context, name: str) -> bool:
    """Whether the person declined the question of that name, or closed it without an answer."""
    answer = (context.input_responses or {}).get(name)
    return isinstance(answer, ElicitResult) and answer.action != "accept"
