"""Sampling: a trace is kept whole or not at all, whatever the request says, and what failed is kept in any case."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from azure.monitor.opentelemetry.exporter import RateLimitedSampler
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, TraceIdRatioBased
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from entra_mcp.telemetry import Work
from entra_mcp.telemetry.exported import TRACES_PER_SECOND
from entra_mcp.telemetry.sampling import SHARE, KeptFailures, WholeTraces

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import Tracer

BELOW = 4


class Kept:
    """The spans that a sampler and `KeptFailures` keep."""

    def __init__(self, sampler: Sampler) -> None:
        self._memory = InMemorySpanExporter()
        self._provider = TracerProvider(sampler=sampler)
        self._provider.add_span_processor(KeptFailures(self._memory))
        self.tracer = self._provider.get_tracer("test")

    def spans(self) -> tuple[ReadableSpan, ...]:
        self._provider.force_flush()
        return self._memory.get_finished_spans()


def one_trace(tracer: Tracer, name: str = "POST /mcp", traceparent: str | None = None) -> None:
    context = TraceContextTextMapPropagator().extract({"traceparent": traceparent}) if traceparent else None
    with tracer.start_as_current_span(name, context=context):
        for number in range(BELOW):
            with tracer.start_as_current_span(f"below {number}"):
                pass


def test_traces_are_kept_whole_or_not_at_all() -> None:
    kept = Kept(WholeTraces(RateLimitedSampler(50.0)))
    for _ in range(60):
        one_trace(kept.tracer)
        time.sleep(0.005)
    sizes = Counter(span.context.trace_id for span in kept.spans() if span.context)
    assert set(sizes.values()) == {1 + BELOW}
    assert 1 < len(sizes) < 60


def test_share_of_the_first_span_is_that_of_all_below() -> None:
    kept = Kept(WholeTraces(RateLimitedSampler(50.0)))
    for _ in range(60):
        one_trace(kept.tracer)
        time.sleep(0.005)
    shares: dict[int, set[object]] = {}
    for span in kept.spans():
        if span.context:
            shares.setdefault(span.context.trace_id, set()).add((span.attributes or {}).get(SHARE))
    assert all(len(of_trace) == 1 for of_trace in shares.values())
    assert any(share is not None for of_trace in shares.values() for share in of_trace)


@pytest.mark.parametrize("flag", ["00", "01"])
@pytest.mark.parametrize(("first", "spans"), [(ALWAYS_ON, 1 + BELOW), (ALWAYS_OFF, 0), (TraceIdRatioBased(0.0), 0)])
def test_flag_of_the_request_decides_nothing(first: Sampler, spans: int, flag: str) -> None:
    kept = Kept(WholeTraces(first))
    one_trace(kept.tracer, traceparent=f"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flag}")
    assert len(kept.spans()) == spans


@pytest.mark.parametrize("work", Work)
def test_own_work_of_the_process_is_always_kept(work: Work) -> None:
    kept = Kept(WholeTraces(ALWAYS_OFF, always=Work))
    one_trace(kept.tracer, name=work.value)
    one_trace(kept.tracer, name="other")
    assert len(kept.spans()) == 1 + BELOW


def test_every_failure_is_kept_and_counts_once() -> None:
    kept = Kept(WholeTraces(RateLimitedSampler(TRACES_PER_SECOND)))
    for _ in range(400):
        with kept.tracer.start_as_current_span("POST /mcp"), kept.tracer.start_as_current_span("tools/call") as call:
            call.set_status(Status(StatusCode.ERROR))
    names = Counter(span.name for span in kept.spans())
    assert names["tools/call"] == 400
    assert names["POST /mcp"] < 400
    assert not any(SHARE in (span.attributes or {}) for span in kept.spans() if span.name == "tools/call")


def test_failure_keeps_its_place_in_the_trace() -> None:
    kept = Kept(WholeTraces(ALWAYS_OFF))
    with (
        kept.tracer.start_as_current_span("POST /mcp") as request,
        pytest.raises(ValueError, match="x"),
        kept.tracer.start_as_current_span("tools/call", attributes={"gen_ai.tool.name": "add"}),
    ):
        raise ValueError("x")
    (span,) = kept.spans()
    assert span.parent == request.get_span_context()
    assert span.context is not None
    assert span.context.trace_flags.sampled
    assert dict(span.attributes or {}) == {"gen_ai.tool.name": "add"}
    assert [event.name for event in span.events] == ["exception"]


def test_row_that_is_not_there_is_no_failure() -> None:
    kept = Kept(WholeTraces(ALWAYS_OFF))
    with kept.tracer.start_as_current_span("GetEntity") as span:
        span.set_attribute("error.type", "azure.core.exceptions.ResourceNotFoundError")
        span.set_status(Status(StatusCode.ERROR))
    assert kept.spans() == ()
