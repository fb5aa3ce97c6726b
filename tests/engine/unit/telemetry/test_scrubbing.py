"""What leaves the server in a span: what is known to be harmless, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from entra_mcp.telemetry.scrubbing import Scrubbed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Tracer


@pytest.fixture
def memory() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(memory: InMemorySpanExporter) -> Iterator[Tracer]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Scrubbed(memory)))
    yield provider.get_tracer("test")
    provider.shutdown()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mcp.session.id", "hunter2"),
        ("mcp.resource.uri", "orders://hunter2"),
        ("fastmcp.component.key", "orders://hunter2"),
        ("gen_ai.tool.call.arguments", "hunter2"),
        ("http.request.header.authorization", "Bearer hunter2"),
        ("user.email", "hunter2@contoso.com"),
        ("db.query.text", "PartitionKey eq 'hunter2'"),
        ("what.ever", "hunter2"),
    ],
)
def test_attribute_that_is_not_known_stays_here(
    tracer: Tracer, memory: InMemorySpanExporter, name: str, value: str
) -> None:
    tracer.start_span("x", attributes={name: value, "gen_ai.tool.name": "add"}).end()
    (span,) = memory.get_finished_spans()
    assert dict(span.attributes or {}) == {"gen_ai.tool.name": "add"}


@pytest.mark.parametrize(
    ("address", "left"),
    [
        (
            "https://vault/secrets/jwt-signing-key/versions?api-version=7.6",
            "https://vault/secrets/jwt-signing-key/versions",
        ),
        (
            "https://st.table/McpOAuthState(PartitionKey='c.0',RowKey='5f0a')?$select=X",
            "https://st.table/McpOAuthState()",
        ),
        ("https://st.table/T(PartitionKey='a)b',RowKey='(')", "https://st.table/T()"),
        ("https://graph/v1.0/users/jane@contoso.com/messages", "https://graph/v1.0/users/*/messages"),
        ("https://graph/v1.0/users/jane%40contoso.com/messages", "https://graph/v1.0/users/*/messages"),
        ("https://graph/v1.0/users/0f2b6f2e-1c6b-4c55-9d0f-6a6f3f0d8f10", "https://graph/v1.0/users/*"),
        ("https://login/t/oauth2/v2.0/token?code=hunter2#hunter2", "https://login/t/oauth2/v2.0/token"),
        ("https://jane:hunter2@host/", "https://host/"),
        (f"https://host/{'h' * 64}/x", "https://host/*/x"),
    ],
)
@pytest.mark.parametrize("name", ["url.full", "http.url"])
def test_address_leaves_without_what_may_tell_of_a_person(
    tracer: Tracer, memory: InMemorySpanExporter, name: str, address: str, left: str
) -> None:
    tracer.start_span("x", attributes={name: address}).end()
    (span,) = memory.get_finished_spans()
    assert dict(span.attributes or {}) == {name: left}


def test_exception_leaves_as_its_type_alone(tracer: Tracer, memory: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="hunter2"), tracer.start_as_current_span("x"):
        raise ValueError("the password is hunter2")
    (span,) = memory.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert [dict(event.attributes or {}) for event in span.events] == [{"exception.type": "ValueError"}]
    assert "hunter2" not in span.to_json()


def test_row_that_is_not_there_is_no_failure(tracer: Tracer, memory: InMemorySpanExporter) -> None:
    span = tracer.start_span("x", attributes={"error.type": "azure.core.exceptions.ResourceNotFoundError"})
    span.set_status(Status(StatusCode.ERROR, "not found"))
    span.end()
    assert memory.get_finished_spans()[0].status.status_code is StatusCode.UNSET


def test_what_ties_spans_together_stays_as_it_is(tracer: Tracer, memory: InMemorySpanExporter) -> None:
    other = SpanContext(trace_id=1, span_id=2, is_remote=True)
    with tracer.start_as_current_span("outer"):
        tracer.start_span("inner", kind=SpanKind.CLIENT, links=[Link(other)]).end()
    inner, outer = memory.get_finished_spans()
    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    assert (inner.name, inner.kind, inner.links[0].context.span_id) == ("inner", SpanKind.CLIENT, 2)
    assert inner.end_time is not None
    assert inner.instrumentation_scope is not None
