"""Watches the MCP requests of a server: how long each takes, and on its span, who asked and from which trace.

Threat: a client names a trace in the message too (SEP-414). If the request continued that one, a client could put its
spans into the operation of another. So the request belongs to the trace of its HTTP request, and links to the client's.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, override

from fastmcp.exceptions import NotFoundError
from fastmcp.server.dependencies import get_access_token
from fastmcp.server.middleware import Middleware
from mcp_types.methods import SPEC_CLIENT_METHODS
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from entra_mcp.request import REQUEST
from entra_mcp.telemetry.requests import TRACE_PARENT

if TYPE_CHECKING:
    from fastmcp.server.middleware import CallNext, MiddlewareContext

    from entra_mcp.telemetry.metrics import Metrics

TOOL_CALL = "tools/call"
UNKNOWN = "unknown"
"""Stands for what a client made up: it says nothing, and would become a time series of its own."""

NAMES = {TOOL_CALL: "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}


class Calls(Middleware):
    """FastMCP opens a span for each request; this adds what it lacks."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @override
    async def on_request(self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]) -> Any:
        started = time.monotonic()
        method = context.method if context.method in SPEC_CLIENT_METHODS else UNKNOWN
        # Of a call that is malformed the message is what came, and names no tool.
        tool = getattr(context.message, "name", None) if method == TOOL_CALL else None
        error: str | None = None
        _link_to_client(context)
        try:
            return await call_next(context)
        except NotFoundError:
            tool, error = None, "not_found"
            _forget(method, NAMES.get(method))
            raise
        except asyncio.CancelledError:
            error = "cancelled"
            raise
        except Exception as failure:
            error = type(failure).__name__
            raise
        finally:
            _name_caller()
            request = REQUEST.get()
            if request is not None and request.deadline is not None and request.deadline.has_passed:
                error = "timeout"  # also of what ignored its cancellation, or returned in spite of it
            if method == UNKNOWN:
                _forget(UNKNOWN, "mcp.method.name")
            self._metrics.called(method=method, seconds=time.monotonic() - started, tool=tool, error=error)


def _link_to_client(context: MiddlewareContext[Any]) -> None:
    """Links the span to the one that the message names, if it names one."""
    request = context.fastmcp_context.request_context if context.fastmcp_context else None
    meta = (request.meta if request else None) or {}
    named = str(meta.get(TRACE_PARENT, ""))
    found = TraceContextTextMapPropagator().extract({TRACE_PARENT: named}, context=Context())
    trace.get_current_span().add_link(trace.get_current_span(found).get_span_context())


def _name_caller() -> None:
    """Puts the caller's object id on the span, where FastMCP has put the id of the application that signed them in."""
    token = get_access_token()
    object_id = token.claims.get("oid") if token else None
    if isinstance(object_id, str):
        trace.get_current_span().set_attribute("enduser.id", object_id)


def _forget(span_name: str, attribute: str | None) -> None:
    """Gives the span another name, and takes what the client made up out of the attribute."""
    span = trace.get_current_span()
    span.update_name(span_name)
    if attribute is not None:
        span.set_attribute(attribute, UNKNOWN)
