"""Ends a request that takes too long: as a whole, because something else does not answer it, or in what it asks for.

What a request of MCP asks for runs as a task of its own, so that the request ends even if that task ignores its
cancellation, or waits for a thread. The answer to that very request says why it was ended.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, override
from urllib.parse import quote

import mcp.server._streamable_http_modern as modern
from anyio.to_thread import current_default_thread_limiter
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import Middleware
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from entra_mcp.cancellation import ended, leave
from entra_mcp.errors import DependencyError
from entra_mcp.patience import Patience
from entra_mcp.request import REQUEST, Deadline, record_failure
from entra_mcp.web import outage
from entra_mcp.web.answers import unavailable
from entra_mcp.web.edge import has_events

if TYPE_CHECKING:
    from fastmcp.server.middleware import CallNext, MiddlewareContext
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

TOOL_CALL = "tools/call"

LOOK_SECONDS = 0.1
"""How often it looks whether the thread of a task that nobody waits for has ended."""

_limited: ContextVar[bool] = ContextVar("limited", default=False)
"""Whether the code runs within a limit already: a tool can call another one."""

_ending: set[asyncio.Task[None]] = set()
"""Holds what waits for a thread: the event loop alone would not keep it."""

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
            await unavailable(f"No answer within {self._seconds:g} s.")(scope, receive, send)


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
            await unavailable(outage.CONTENT["error_description"])(scope, receive, send)
        finally:
            request.silence = None


def lift_silence_limit() -> float:
    """Says that the running request has what it waited for: its success must not become an error any more.

    Returns how many seconds the limit had left.
    """
    request = REQUEST.get()
    if request is None or request.silence is None:
        return 0.0
    left = request.silence.lift()
    request.silence = None
    return left


class RequestTimeLimit(Middleware):
    """Cancels what runs when the deadline comes: a tool, a resource, a prompt, a completion, a list."""

    @override
    async def on_request(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        # It was authenticated in time. What it asks for may take longer than an answer of the server's own.
        lift_silence_limit()
        request = REQUEST.get()
        deadline = request.deadline if request else None
        if deadline is None or _limited.get():
            return await call_next(context)
        work = asyncio.create_task(_limited_call(context, call_next))
        try:
            await asyncio.wait([work], timeout=max(0.0, deadline.at - asyncio.get_running_loop().time()))
        except asyncio.CancelledError:  # the client has left
            if _waits_for_a_thread(work):
                leave(work)
                ending = asyncio.create_task(_end_after_its_thread(work, deadline))
                _ending.add(ending)
                ending.add_done_callback(_ending.discard)
            else:
                await _end(context, work)
            raise
        if work.done():
            try:
                return work.result()
            finally:
                del work  # what it raised refers to this frame
        await _end(context, work)
        logger.warning("%s was ended after %g s.", _name(context), deadline.seconds)
        span = trace.get_current_span()
        span.set_attribute("error.type", "timeout")
        span.set_status(StatusCode.ERROR)
        message = f"This took longer than {deadline.seconds:g} s, and was ended. Ask for less."
        # A model sees the text of a tool's error; an error of the protocol may stay with its client.
        raise ToolError(message) if context.method == TOOL_CALL else MCPError(INTERNAL_ERROR, message)


async def _limited_call[T](context: MiddlewareContext[Any], call_next: CallNext[Any, T]) -> T:
    _limited.set(True)
    return await call_next(context)


def _waits_for_a_thread(work: asyncio.Task[Any]) -> bool:
    return work in current_default_thread_limiter().statistics().borrowers


async def _end_after_its_thread(work: asyncio.Task[Any], deadline: Deadline) -> None:
    """Cancels the task when its thread ends.

    Nothing can end a thread. It keeps its place among the threads until the deadline, as if the client had stayed:
    otherwise somebody who calls and leaves could start any number of them.
    """
    while _waits_for_a_thread(work) and not deadline.has_passed:
        await asyncio.wait([work], timeout=LOOK_SECONDS)
    work.cancel()


async def _end(context: MiddlewareContext[Any], work: asyncio.Task[Any]) -> None:
    work.cancel()
    if not await ended(work):
        logger.error("%s ignores its cancellation, and goes on without anybody waiting for it.", _name(context))


def _name(context: MiddlewareContext[Any]) -> str:
    return f"{context.method} {context.message.name}" if context.method == TOOL_CALL else str(context.method)
