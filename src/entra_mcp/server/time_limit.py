"""Ends an MCP request whose time is over, and says why in the answer to that very request.

What a request asks for runs as a task of its own, so that the request ends even if that task ignores its cancellation,
or waits for a thread.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, override

from anyio.to_thread import current_default_thread_limiter
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import Middleware
from mcp.shared.exceptions import MCPError
from mcp.types import INTERNAL_ERROR
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from entra_mcp.cancellation import ended, leave
from entra_mcp.request import REQUEST, lift_silence_limit

if TYPE_CHECKING:
    from fastmcp.server.middleware import CallNext, MiddlewareContext

    from entra_mcp.request import Deadline

TOOL_CALL = "tools/call"

_limited: ContextVar[bool] = ContextVar("limited", default=False)
"""Whether the code runs within a limit already: a tool can call another one."""

_ending: set[asyncio.Task[None]] = set()
"""Holds what waits for a thread: the event loop alone would not keep it."""

LOOK_SECONDS = 0.1
"""How often it looks whether the thread has ended."""

logger = logging.getLogger(__name__)


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
