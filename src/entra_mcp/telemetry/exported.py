"""Sends traces and metrics to Application Insights, to an OTLP collector, or to both.

This module loads the OpenTelemetry SDK; import it only where something is to be sent. The SDK's providers belong to the
process and can be set once, so that whatever starts a second time goes on with the first one's.
"""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, override

from azure.core.settings import settings as azure_settings
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind

from entra_mcp.telemetry import Telemetry, Work
from entra_mcp.telemetry.calls import Calls
from entra_mcp.telemetry.metrics import Instruments
from entra_mcp.telemetry.requests import RequestSpans
from entra_mcp.telemetry.sampling import KeptFailures, WholeTraces
from entra_mcp.telemetry.scrubbing import Scrubbed, has_failed

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from fastmcp import FastMCP
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler
    from starlette.types import ASGIApp

    from entra_mcp.settings import Settings

TRACES_PER_SECOND = 5.0
"""What an instance sends to Application Insights, which charges by volume; the metrics count what is left out."""

FLUSH_MILLISECONDS = 5000

OF_THE_EXPORTER = (
    "APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED",
)
"""Turn off what Microsoft's exporter sends of itself: a record with each batch of spans, and counts of its records.

They are charged like the server's own records. The exporter reads these names from the environment alone.
"""

AZURE_SDK = re.compile(r"\w+Client\.\w+$")
"""What the spans are called that the Azure SDK opens around its HTTP requests."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Where spans and metrics go, and which spans."""

    processors: list[SpanProcessor] = field(default_factory=list["SpanProcessor"])
    readers: list[MetricReader] = field(default_factory=list["MetricReader"])
    sampler: Sampler | None = ALWAYS_ON
    """None leaves the choice to the SDK, which reads `OTEL_TRACES_SAMPLER`.

    Unless somebody chooses so, a request has no say in it: the flag in its header is the client's, or that of a host
    which counts by other rules.
    """

    def send(self, spans: Scrubbed, measures: MetricExporter) -> None:
        self.processors.append(KeptFailures(spans))
        self.readers.append(PeriodicExportingMetricReader(measures))


class Exported(Telemetry):
    """Observes the server with the providers of this process."""

    def __init__(self) -> None:
        self._instruments = Instruments(metrics.get_meter("entra_mcp"))
        super().__init__(self._instruments)

    @override
    def watched(self, what: Work) -> AbstractContextManager[object]:
        return trace.get_tracer("entra_mcp").start_as_current_span(what)

    @override
    def observe(self, server: FastMCP) -> None:
        server.add_middleware(Calls(self._instruments))

    @override
    def at_the_edge(self, app: ASGIApp, *, routes: Collection[str]) -> ASGIApp:
        return RequestSpans(app, routes=routes, metrics=self._instruments)

    @override
    async def flush(self) -> None:
        for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
            if isinstance(provider, TracerProvider | MeterProvider):
                await asyncio.to_thread(provider.force_flush, FLUSH_MILLISECONDS)


def exported_telemetry(settings: Settings) -> Telemetry:
    """Starts sending, unless this process has done so already."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        install(pipeline(settings), service_name=settings.service_name)
    return Exported()


def install(pipeline: Pipeline, *, service_name: str) -> None:
    """Installs the pipeline for the process, and turns on what can report about itself: the Azure SDK and HTTP clients.

    FastMCP opens its spans in any case.
    """
    resource = Resource.create({"service.name": service_name})
    traces = TracerProvider(sampler=pipeline.sampler, resource=resource)
    for processor in pipeline.processors:
        traces.add_span_processor(processor)
    trace.set_tracer_provider(traces)
    metrics.set_meter_provider(MeterProvider(metric_readers=pipeline.readers, resource=resource))
    azure_settings.tracing_enabled = True
    HTTPX2ClientInstrumentor().instrument()


def pipeline(settings: Settings) -> Pipeline:
    """What the settings ask for."""
    made = Pipeline(sampler=_sampler(settings))
    if settings.application_insights is not None:
        spans, measures = _application_insights(settings, settings.application_insights.get_secret_value())
        made.send(Scrubbed(spans, leaves_out=is_told_twice), measures)
    if settings.otlp_endpoint is not None:
        spans, measures = _otlp()
        made.send(Scrubbed(spans), measures)
    return made


def is_told_twice(span: ReadableSpan) -> bool:
    """Whether Application Insights, which charges by volume, has another record of what the span says.

    The host sends a record of each request, with its status; and the Azure SDK opens a span of its own around that of
    each HTTP request. One that failed is kept.
    """
    if span.kind is not SpanKind.INTERNAL:
        return False
    at_the_edge = span.parent is not None and span.parent.is_remote
    return at_the_edge or (AZURE_SDK.match(span.name) is not None and not has_failed(span))


def _sampler(settings: Settings) -> Sampler | None:
    if settings.traces_sampler is not None:
        return None
    if settings.application_insights is None:
        return ALWAYS_ON
    from azure.monitor.opentelemetry.exporter import RateLimitedSampler

    return WholeTraces(RateLimitedSampler(TRACES_PER_SECOND), always=Work)


def _application_insights(settings: Settings, connection_string: str) -> tuple[SpanExporter, MetricExporter]:
    from azure.identity import ManagedIdentityCredential
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter

    for name in OF_THE_EXPORTER:
        os.environ.setdefault(name, "true")
    options: dict[str, Any] = {
        "connection_string": connection_string,
        # Failed sendings stay in memory: the disk of an instance is gone with the instance.
        "disable_offline_storage": True,
    }
    if settings.application_insights_identity is not None:
        named = re.search(r"(?i)ClientId=([^;]+)", settings.application_insights_identity)
        options["credential"] = ManagedIdentityCredential(client_id=named[1] if named else None)
    return AzureMonitorTraceExporter(**options), AzureMonitorMetricExporter(**options)


def _otlp() -> tuple[SpanExporter, MetricExporter]:
    """Exporters that read the address, headers and certificates from `OTEL_EXPORTER_OTLP_*` themselves."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(), OTLPMetricExporter()
