"""Writes an audit line for every request that was refused, wherever in the application that was decided."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers

from entra_mcp.audit import Event
from entra_mcp.web.paths import OAUTH

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from entra_mcp.audit import Audit

NOT_ALLOWED = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.TOO_MANY_REQUESTS})
"""Statuses that refuse a request on any path; the paths of OAuth refuse with all from 400 to 499."""

HELD_BYTES = 4096
"""How much of an error answer is looked at for its code."""


class RefusalAudit:
    """Looks at answers as they pass. A request that has had an audit line for what it did gets no second one.

    The 401 that tells a client where to sign in is no refusal: nothing was presented. Nor is an outage.
    """

    def __init__(self, app: ASGIApp, *, audit: Audit) -> None:
        self.app = app
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send)
        with self._audit.watch() as subject:
            await self.app(scope, receive, answer.send)
            if not subject.recorded and _is_refusal(scope, answer):
                self._audit.record(
                    Event.REFUSAL,
                    request=f"{scope['method']} {quote(scope['path'])}",
                    status=answer.status,
                    error=answer.error,
                )


class _Answer:
    """The status of an answer, and the beginning of its body if it is an error."""

    def __init__(self, send: Send) -> None:
        self.status = 0
        self._send = send
        self._headers = Headers()
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._headers = Headers(raw=message["headers"])
        elif 400 <= self.status < 500 and len(self._body) < HELD_BYTES:
            self._body += message.get("body", b"")[:HELD_BYTES]
        await self._send(message)

    @property
    def error(self) -> str:
        """The error code of an OAuth answer (RFC 6749 sections 4.1.2.1 and 5.2); empty when it has none."""
        if location := self._headers.get("location"):
            return next(iter(parse_qs(urlsplit(location).query).get("error", ())), "")
        try:
            content: Any = json.loads(self._body)
        except ValueError:
            return ""
        return str(cast("dict[str, Any]", content).get("error", "")) if isinstance(content, dict) else ""


def _is_refusal(scope: Scope, answer: _Answer) -> bool:
    if scope["path"] in OAUTH:
        return 400 <= answer.status < 500 or (300 <= answer.status < 400 and answer.error != "")
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return "authorization" in Headers(scope=scope)
    return answer.status in NOT_ALLOWED
