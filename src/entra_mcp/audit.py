"""The audit log: one line for whatever happened to somebody's access, with who, through which client, and from where.

A line is a JSON object, so that nothing a client sends can begin a line of its own or add a field
(https://cwe.mitre.org/data/definitions/117.html). No line ever holds a code, a token, a state or a secret.
"""

from __future__ import annotations

import json
import logging
from enum import StrEnum
from typing import TYPE_CHECKING

from entra_mcp.ownership import owner_of
from entra_mcp.request import REQUEST

if TYPE_CHECKING:
    from entra_mcp.request import RequestScope

LOGGER = "entra_mcp.audit"

MAX_CHARACTERS = 200
"""Characters of a value that a client chose."""

logger = logging.getLogger(LOGGER)


class Event(StrEnum):
    """What a line is about."""

    REGISTRATION = "registration"
    """A client registered."""

    SIGN_IN = "sign_in"
    """A client got the first tokens for a person who signed in."""

    REFRESH = "refresh"
    """A client got new tokens for a refresh token."""

    REPLAY = "replay"
    """An authorization code or a refresh token was used again."""

    REVOCATION = "revocation"
    """A sign-in ended before its time."""

    REFUSAL = "refusal"
    """A request was refused: by this server, by Entra ID, or by the person who was asked."""


ALARMING = frozenset({Event.REPLAY, Event.REFUSAL})


def record(
    event: Event, *, user: str | None = None, client_id: str | None = None, **details: str | int | list[str]
) -> None:
    """Writes a line; user and client are those of the running request, unless given."""
    request = REQUEST.get()
    if request is not None:
        request.recorded = True
    line = {
        "event": event,
        "user": user or current_user(),
        "client_id": _short(client_id or _client_id(request)),
        "address": request.address if request else None,
        "correlation_id": request.correlation_id if request else None,
        **{name: _short(value) for name, value in details.items()},
    }
    logger.log(logging.WARNING if event in ALARMING else logging.INFO, "%s", json.dumps(line))


def current_user() -> str | None:
    """The object id of the person whose rows the running request has touched."""
    request = REQUEST.get()
    found = (owner_of(*entry) for entry in request.rows.items()) if request else ()
    return next((user for user in found if user), None)


def _client_id(request: RequestScope | None) -> str | None:
    if request is None:
        return None
    bearer = [request.bearer[1]] if request.bearer else []
    found = (request.client_id, *(row.get("client_id") for row in (*request.rows.values(), *bearer)))
    return next((client_id for client_id in found if isinstance(client_id, str)), None)


def _short[Value: str | int | list[str] | None](value: Value) -> Value | str:
    return value[:MAX_CHARACTERS] if isinstance(value, str) else value
