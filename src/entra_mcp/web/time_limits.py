"""Ends a request that takes too long: as a whole, or because something else does not answer it."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import mcp.server._streamable_http_modern as modern

from entra_mcp.errors import DependencyError
from entra_mcp.patience import Patience
from entra_mcp.request import REQUEST, Deadline, record_failure
from entra_mcp.web import outage
from entra_mcp.web.answers import has_events, oauth_error
from entra_mcp.web.health import RETRY_LATER

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

REQUEST_SECONDS = 300.0
"""The Functions host gives an invocation `functionTimeout` (host.json). After it the host ends the worker, and with it
the calls of everybody whom that instance serves; so a request is ended here, well before."""

GRACE_SECONDS = 15.0
"""What follows the deadline is the MCP server's: it answers its call with an error that says why."""

SILENCE_SECONDS = 4.0
"""For a whole request: several slow answers of a dependency add up. What has succeeded by then may end in a second."""

# In the protocol of 2026-07-28 the SDK begins the answer of a silent call with its first ping, after 15 s. It must not
# begin before the silence limit: 503 would come too late then.
modern._SSE_PING_INTERVAL = SILENCE_SECONDS + 1  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see docs/upgrade.md

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
        request = REQUEST.get()
        if request is None:
            await self.app(scope, receive, send)
            return
        request.deadline = Deadline(at=asyncio.get_running_loop().time() + self._seconds, seconds=self._seconds)
        limit = asyncio.timeout(self._seconds + self._grace)
        try:
            async with limit:
                await self.app(scope, receive, send)
        except TimeoutError:
            begun = request.answer
            if not limit.expired() or (begun is not None and not has_events(begun)):
                raise
            logger.warning("%s %s was ended after %g s.", scope["method"], quote(scope["path"])[:200], self._seconds)
            if begun is not None:
                await send({"type": "http.response.body", "body": b""})
                return
            response = oauth_error(
                HTTPStatus.SERVICE_UNAVAILABLE,
                outage.CONTENT["error"],
                f"No answer within {self._seconds:g} s.",
                headers=RETRY_LATER,
            )
            await response(scope, receive, send)


class SilenceLimit:
    """Ends a request for which something else is silent too long: that counts as a dependency that failed.

    The limit is lifted by what has succeeded, by the beginning of an answer, and for a tool, which may take its time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = REQUEST.get()
        if request is None:
            await self.app(scope, receive, send)
            return
        request.silence = limit = Patience(SILENCE_SECONDS)
        try:
            async with limit:
                await self.app(scope, receive, send)
        except Exception:
            if request.answer is not None or not limit.expired:
                raise
            record_failure(DependencyError("server", "no answer in time"))
            response = oauth_error(
                HTTPStatus.SERVICE_UNAVAILABLE, outage.CONTENT["error"], outage.CONTENT["error_description"]
            )
            await response(scope, receive, send)
        finally:
            request.silence = None
