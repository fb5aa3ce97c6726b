"""The server's own telemetry, kept in memory instead of sent."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from azure.core.settings import settings as azure_settings
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from entra_mcp.telemetry.exported import Pipeline, install
from entra_mcp.telemetry.scrubbing import Scrubbed

if TYPE_CHECKING:
    from collections.abc import Generator

    from opentelemetry.sdk.trace import ReadableSpan


@dataclass(frozen=True, slots=True)
class Seen:
    """What left the server, in the order in which it ended."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans() if span.name == name]

    def text(self) -> str:
        """Everything that left, spans and metrics."""
        data = self.reader.get_metrics_data()
        return "\n".join([*(span.to_json() for span in self.spans()), data.to_json() if data else ""])

    def points(self, metric: str) -> dict[tuple[tuple[str, Any], ...], Any]:
        return points(self.reader, metric)


def points(reader: InMemoryMetricReader, metric: str) -> dict[tuple[tuple[str, Any], ...], Any]:
    """The values of a metric by their attributes: of a histogram, how many."""
    found: dict[tuple[tuple[str, Any], ...], Any] = {}
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        for each in (each for scope in resource.scope_metrics for each in scope.metrics if each.name == metric):
            for point in each.data.data_points:
                attributes = tuple(sorted((point.attributes or {}).items()))
                found[attributes] = getattr(point, "count", None) or getattr(point, "value", None)
    return found


def keep_in_memory() -> Seen:
    """Installs providers in this process, which cannot be taken out again."""
    seen = Seen(InMemorySpanExporter(), InMemoryMetricReader())
    install(
        Pipeline(processors=[SimpleSpanProcessor(Scrubbed(seen.exporter))], readers=[seen.reader]),
        service_name="test",
    )
    _watch(on=False)
    return seen


@contextmanager
def watching(seen: Seen) -> Generator[Seen]:
    """Yields what is seen while the block runs, and nothing from before."""
    _watch(on=True)
    seen.exporter.clear()
    try:
        yield seen
    finally:
        _watch(on=False)


def _watch(*, on: bool) -> None:
    azure_settings.tracing_enabled = on
    (HTTPX2ClientInstrumentor().instrument if on else HTTPX2ClientInstrumentor().uninstrument)()
