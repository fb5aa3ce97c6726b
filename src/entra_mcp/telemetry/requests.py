"""Watches HTTP requests at the edge of the application: one span each, in the trace of the Functions host.

The span is an internal one. The host reports each request already, and a second account of it as a server's would
count it twice wherever requests are counted.
"""

from __future__ import annotations

from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from entra_mcp.telemetry.metrics import Metrics

OTHER = "other"
"""Stands for every path that is no route: those are whatever somebody tries."""

OTHER_METHOD = "_OTHER"
"""Stands for every other method (https://opentelemetry.io/docs/specs/semconv/http/http-spans/)."""

TRACE_PARENT = "traceparent"

REFUSALS = frozenset({*range(HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR), HTTPStatus.SERVICE_UNAVAILABLE})
"""Statuses that are counted as refusals."""


class RequestSpans:
    """Continues the trace that the request names (https://www.w3.org/TR/trace-context/), or begins one.

    What reads the header further in finds the trace there in either case. Nothing but its ids is taken from the client:
    what comes in `tracestate` or `baggage` would be sent on with every span and to every API.
    """

    def __init__(self, app: ASGIApp, *, routes: Collection[str], metrics: Metrics) -> None:
        self._app = app
        self._routes = routes
        self._metrics = metrics
        self._tracer = trace.get_tracer("entra_mcp")
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = scope["path"] if scope["path"] in self._routes else OTHER
        method = scope["method"] if scope["method"] in HTTPMethod else OTHER_METHOD
        with self._tracer.start_as_current_span(
            f"{method} {route}",
            context=self._propagator.extract({TRACE_PARENT: Headers(scope=scope).get(TRACE_PARENT, "")}),
            attributes={"http.request.method": method, "http.route": route},
        ) as span:

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                        span.set_status(Status(StatusCode.ERROR))
                    if status in REFUSALS:
                        self._metrics.refused(route=route, status=status)
                await send(message)

            await self._app(self._with_trace(scope), receive, watched)

    def _with_trace(self, scope: Scope) -> Scope:
        inner = {**scope, "headers": list(scope["headers"])}
        self._propagator.inject(MutableHeaders(scope=inner))
        return inner
