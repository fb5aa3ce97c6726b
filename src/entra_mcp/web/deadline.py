"""Ends a request that is not answered by its deadline, and streams that outlive it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.datastructures import Headers

from entra_mcp.time_limit import REQUEST_SECONDS, begin_deadline
from entra_mcp.web.answers import refusal
from entra_mcp.web.health import RETRY_LATER

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

GRACE_SECONDS = 15.0
"""What follows the deadline is the MCP server's: it answers its call with an error that says why."""

logger = logging.getLogger(__name__)


class RequestDeadline:
    """Gives each request a deadline, and cancels the application some seconds after it.

    An answer that has not begun is 503. A stream of events is ended, as a server may do at any time. Any other answer
    is broken off, since half of it must not pass for the whole.
    """

    def __init__(self, app: ASGIApp, *, seconds: float = REQUEST_SECONDS, grace: float = GRACE_SECONDS) -> None:
        self.app = app
        self._seconds = seconds
        self._grace = grace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = events = False

        async def watched(message: Message) -> None:
            nonlocal started, events
            if message["type"] == "http.response.start":
                started = True
                events = Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")
            await send(message)

        begin_deadline(self._seconds)
        limit = asyncio.timeout(self._seconds + self._grace)
        try:
            async with limit:
                await self.app(scope, receive, watched)
        except TimeoutError:
            if not limit.expired() or (started and not events):
                raise
            logger.warning("%s %s was ended after %g s.", scope["method"], quote(scope["path"])[:200], self._seconds)
            if events:
                await send({"type": "http.response.body", "body": b""})
            else:
                response = refusal(
                    503, "temporarily_unavailable", f"No answer within {self._seconds:g} s.", headers=RETRY_LATER
                )
                await response(scope, receive, send)
