"""Begins a request: gives it a correlation id, which its answer names and its log lines can name too."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders

from entra_mcp.request import REQUEST, RequestScope

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CORRELATION_ID = "x-correlation-id"

logger = logging.getLogger(__name__)


class Tracing:
    """Takes over the trace id of the Functions host (https://www.w3.org/TR/trace-context/), or makes one.

    Each answer carries it in `x-correlation-id`; each error is one line in the log.
    """

    def __init__(self, app: ASGIApp, *, address: Callable[[Scope], str]) -> None:
        self.app = app
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = RequestScope(correlation_id=_trace_id(scope) or uuid4().hex, address=self._address(scope))

        async def traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[CORRELATION_ID] = request.correlation_id
                if message["status"] >= HTTPStatus.BAD_REQUEST:
                    _log(scope, message["status"], request)
            await send(message)

        token = REQUEST.set(request)
        try:
            await self.app(scope, receive, traced)
        finally:
            REQUEST.reset(token)


def _trace_id(scope: Scope) -> str | None:
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
