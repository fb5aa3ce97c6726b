"""Reads what an exporter sends (https://opentelemetry.io/docs/specs/otlp/#otlphttp), as far as a page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

SERVICE = "service.name"


class NotOtlpError(ValueError):
    """A body is not what OTLP sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One span; times are in nanoseconds since 1970, ids in hexadecimal."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    service: str
    start: int
    end: int
    failed: bool
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The newest value of a metric for one set of attributes: how often, and of a histogram the sum."""

    metric: str
    unit: str
    attributes: Mapping[str, str]
    count: float
    total: float | None


def read_spans(body: bytes) -> list[Span]:
    """Returns the spans of a request to `/v1/traces`; NotOtlpError when it is none."""
    request = ExportTraceServiceRequest()
    _parse(request, body)
    return [
        _span(span, service=_attributes(resource.resource.attributes).get(SERVICE, ""))
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def read_points(body: bytes) -> list[Point]:
    """Returns the points of a request to `/v1/metrics`; NotOtlpError when it is none."""
    request = ExportMetricsServiceRequest()
    _parse(request, body)
    return [
        point
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in _points(metric)
    ]


def _parse(request: ExportTraceServiceRequest | ExportMetricsServiceRequest, body: bytes) -> None:
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise NotOtlpError("the body is not OTLP in protobuf") from error


def _span(span: SentSpan, *, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        kind=SentSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        service=service,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_attributes(span.attributes),
    )


def _points(metric: Metric) -> Iterable[Point]:
    numbers = [*metric.sum.data_points, *metric.gauge.data_points]
    for number in numbers:
        value = number.as_int if number.HasField("as_int") else number.as_double
        yield _point(metric, number.attributes, count=value, total=None)
    for histogram in metric.histogram.data_points:
        yield _point(metric, histogram.attributes, count=histogram.count, total=histogram.sum)


def _point(metric: Metric, attributes: Iterable[KeyValue], *, count: float, total: float | None) -> Point:
    return Point(metric=metric.name, unit=metric.unit, attributes=_attributes(attributes), count=count, total=total)


def _attributes(sent: Iterable[KeyValue]) -> dict[str, str]:
    return {each.key: _text(each.value) for each in sent}


def _text(value: AnyValue) -> str:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return str(value.bool_value).lower()
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return f"{value.double_value:g}"
        case "array_value":
            return ", ".join(_text(each) for each in value.array_value.values)
        case _:
            return ""
