"""The edge of the server: a request begins and an answer leaves here, each in the form that the rest relies on."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders

from entra_mcp.request import REQUEST, RequestScope
from entra_mcp.web.answers import has_events
from entra_mcp.web.normalization import normalize_answer, normalized

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from entra_mcp.web.security_headers import SecurityHeaders

CORRELATION_ID = "x-correlation-id"

COMMENT = b": ping\r\n\r\n"
"""What clients ignore (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream)."""

logger = logging.getLogger(__name__)


class Edge:
    """Gives each request a correlation id: the trace id of the Functions host when it sent one, or a new one.

    Each answer carries it in `x-correlation-id`, with the security headers; each error is one line in the log. HEAD is
    answered as GET is, without the body (RFC 9110 section 9.3.2).

    A stream of events begins with a comment, because the forwarder of the Functions host holds back an answer's headers
    until bytes of its body follow. A call that reports nothing would look dead to its client until the MCP SDK's first
    ping. In the protocol of 2026-07-28 that ping begins the stream, after five seconds: a quicker answer is no stream.
    """

    def __init__(self, app: ASGIApp, *, address: Callable[[Scope], str], security: SecurityHeaders) -> None:
        self.app = app
        self._address = address
        self._security = security

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = RequestScope(correlation_id=_trace_id(scope) or uuid4().hex, address=self._address(scope))
        inner, without_body = normalized(scope), scope["method"] == "HEAD"

        async def leave(message: Message) -> None:
            if message["type"] != "http.response.start":
                await send({**message, "body": b""} if without_body else message)
                return
            headers = MutableHeaders(scope=message)
            headers[CORRELATION_ID] = request.correlation_id
            self._security.add_to(headers, path=inner["path"], status=message["status"])
            normalize_answer(headers)
            if message["status"] >= HTTPStatus.BAD_REQUEST:
                _log(scope, message["status"], request)
            await send(message)
            if has_events(headers) and not without_body:
                await send({"type": "http.response.body", "body": COMMENT, "more_body": True})

        token = REQUEST.set(request)
        try:
            await self.app(inner, receive, leave)
        finally:
            REQUEST.reset(token)


def _trace_id(scope: Scope) -> str | None:
    """That of `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header)."""
    found = re.fullmatch(
        r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?",
        Headers(scope=scope).get("traceparent", ""),
    )
    return found[1] if found else None


def _log(scope: Scope, status: int, request: RequestScope) -> None:
    # Percent-encoded, so that a path cannot begin a line of its own; without the query, which can hold a code.
    path = quote(scope["path"])[:200]
    level = logging.WARNING if status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.INFO
    logger.log(
        level,
        "%s %s answered %d to %s, correlation id %s.",
        scope["method"],
        path,
        status,
        request.address,
        request.correlation_id,
    )
