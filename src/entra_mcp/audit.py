"""The audit log: one line for whatever happened to somebody's access, with who, through which client, and from where.

A line is a JSON object, so that nothing a client sends can begin a line of its own or add a field
(https://cwe.mitre.org/data/definitions/117.html). No line ever holds a code, a token, a state or a secret.
"""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from entra_mcp.trace import current_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from entra_mcp.trace import Trace

LOGGER = "entra_mcp.audit"

LONGEST = 200
"""Characters of a value that a client chose."""

logger = logging.getLogger(LOGGER)


class Event(StrEnum):
    """What a line tells of."""

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


class Subject:
    """Whom the running request turned out to be about; only a line that is written works it out."""

    def __init__(self) -> None:
        self.rows: dict[str, Mapping[str, Any]] = {}
        self.recorded = False


class Audit:
    """Writes the lines. `owner_of` tells whose a stored row is, by its collection and its value."""

    def __init__(
        self,
        *,
        owner_of: Callable[[str, Mapping[str, Any]], str | None],
        trace: Callable[[], Trace | None] = current_trace,
    ) -> None:
        self._owner_of = owner_of
        self._trace = trace
        self._subject: ContextVar[Subject | None] = ContextVar("audit", default=None)

    @contextmanager
    def watch(self) -> Generator[Subject]:
        """Yields what becomes known of a request while the block serves it."""
        subject = Subject()
        token = self._subject.set(subject)
        try:
            yield subject
        finally:
            self._subject.reset(token)

    def about(self, collection: str, row: Mapping[str, Any]) -> None:
        """Says that the running request has to do with a stored row."""
        subject = self._subject.get()
        if subject is not None:
            subject.rows[collection] = row

    def user(self) -> str | None:
        """The object id of the person whose rows the running request has touched."""
        subject = self._subject.get()
        found = (self._owner_of(*entry) for entry in subject.rows.items()) if subject else ()
        return next((user for user in found if user), None)

    def record(
        self, event: Event, *, user: str | None = None, client_id: str | None = None, **details: str | int | list[str]
    ) -> None:
        """Writes a line; user and client are those of the rows that the request has touched, unless given."""
        subject, trace = self._subject.get(), self._trace()
        if subject is not None:
            subject.recorded = True
        line = {
            "event": event,
            "user": user or self.user(),
            "client_id": _short(client_id or self._client_id()),
            "address": trace.address if trace else None,
            "correlation_id": trace.correlation_id if trace else None,
            **{name: _short(value) for name, value in details.items()},
        }
        logger.log(logging.WARNING if event in ALARMING else logging.INFO, "%s", json.dumps(line))

    def _client_id(self) -> str | None:
        subject = self._subject.get()
        found = (row.get("client_id") for row in subject.rows.values()) if subject else ()
        return next((client_id for client_id in found if isinstance(client_id, str)), None)


def _short[Value: str | int | list[str] | None](value: Value) -> Value | str:
    return value[:LONGEST] if isinstance(value, str) else value
