"""Takes traces and metrics over OTLP/HTTP in protobuf, keeps the newest in memory, and shows them.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from local.loopback.host_header import loopback_app
from local.traces.page import page

if TYPE_CHECKING:
    from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric, NumberDataPoint
    from opentelemetry.proto.trace.v1.trace_pb2 import Span
    from starlette.requests import Request
    from starlette.types import ASGIApp

PROTOBUF = "application/x-protobuf"
MAX_BYTES = 16 * 1024 * 1024
MAX_TRACES = 200
MAX_SPANS = 2000
"""Of one trace; what comes later is dropped."""


class Traces:
    """The newest traces, the newest value of each metric, and the routes that take and show them."""

    def __init__(self) -> None:
        self._traces: dict[bytes, dict[bytes, Span]] = {}
        self._points: dict[tuple[str, str], tuple[Metric, NumberDataPoint | HistogramDataPoint]] = {}

    def app(self) -> ASGIApp:
        routes = [
            Route("/", self.show),
            Route("/v1/traces", self.take_traces, methods=["POST"]),
            Route("/v1/metrics", self.take_metrics, methods=["POST"]),
        ]
        return loopback_app(routes)

    async def show(self, _: Request) -> Response:
        return page(list(self._traces.values()), [self._points[key] for key in sorted(self._points)])

    async def take_traces(self, request: Request) -> Response:
        for resource in (await _read(request, ExportTraceServiceRequest())).resource_spans:
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                spans = self._traces.setdefault(span.trace_id, {})
                if len(spans) < MAX_SPANS or span.span_id in spans:
                    spans[span.span_id] = span
        while len(self._traces) > MAX_TRACES:
            del self._traces[next(iter(self._traces))]
        return Response(media_type=PROTOBUF)

    async def take_metrics(self, request: Request) -> Response:
        for resource in (await _read(request, ExportMetricsServiceRequest())).resource_metrics:
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                for point in (*metric.sum.data_points, *metric.gauge.data_points, *metric.histogram.data_points):
                    self._points[metric.name, str(point.attributes)] = (metric, point)
        return Response(media_type=PROTOBUF)


async def _read[Sent: (ExportTraceServiceRequest, ExportMetricsServiceRequest)](request: Request, sent: Sent) -> Sent:
    # A web page can send other types without asking; this one takes a preflight, which nobody answers.
    if request.headers.get("content-type") != PROTOBUF or "content-encoding" in request.headers:
        raise HTTPException(415, f"Only {PROTOBUF} is taken, not compressed.")
    if int(request.headers.get("content-length", MAX_BYTES + 1)) > MAX_BYTES:
        raise HTTPException(413, "The body is too large, or does not say how large it is.")
    try:
        sent.ParseFromString(await request.body())
    except DecodeError:
        raise HTTPException(400, "The body is not OTLP in protobuf.") from None
    return sent
