"""Questions that a tool asks the person in the middle of its work, without an instance that waits for the answer.

The tool returns its questions and ends. The client asks the person and calls the tool again, with the answers and with
the state that the tool gave it, which FastMCP seals and opens (`RequestStateSecurity` in server/create.py): the next
round may run anywhere. Clients of the protocols before 2026-07-28 cannot do that; they keep a connection open for
questions, and the answer comes in a request of its own, which here lands on any instance. They have to ask in the
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
    from mcp.types import ElicitationCapability


def can_ask(context: Context) -> bool:
    """Whether this client can be asked: it speaks a protocol with rounds, and shows forms."""
    offered = _elicitation(context)
    # Naming no mode means forms: there was no other mode at first.
    return offered is not None and (offered.form is not None or offered.url is None)


def can_open(context: Context) -> bool:
    """Whether this client can be asked to open an address for the person."""
    offered = _elicitation(context)
    return offered is not None and offered.url is not None


def _elicitation(context: Context) -> ElicitationCapability | None:
    request = context.request_context
    if request is None or request.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return None
    capabilities = request.session.client_capabilities
    return None if capabilities is None else capabilities.elicitation


def ask(name: str, form: type[BaseModel], message: str, *, state: str) -> InputRequiredResult:
    """What a tool returns to have the person fill in a form of simple fields; `state` comes back with the answer."""
    params = ElicitRequestFormParams(message=message, requested_schema=get_elicitation_schema(form))
    return InputRequiredResult(input_requests={name: ElicitRequest(params=params)}, request_state=state)


def accepted(context: Context, name: str) -> ElicitResult | None:
    """The answer to the question of that name, if there is one and the person did not decline."""
    answer = (context.input_responses or {}).get(name)
    return answer if isinstance(answer, ElicitResult) and answer.action == "accept" else None


def answered[Form: BaseModel](context: Context, name: str, form: type[Form]) -> Form | None:
    """The person's answer to the question of that name; None when there is none that fits: then ask again."""
    if (answer := accepted(context, name)) is None:
        return None
    try:
        return form.model_validate(answer.content or {})
    except ValidationError:
        return None


def declined(context: Context, name: str) -> bool:
    """Whether the person declined the question of that name, or closed it without an answer."""
    answer = (context.input_responses or {}).get(name)
    return isinstance(answer, ElicitResult) and answer.action != "accept"
