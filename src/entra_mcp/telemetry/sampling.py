"""Which spans are kept where not all are: those of whole traces, and each that failed.

Microsoft's sampler decides again at each span, so that what it leaves of a tool call lacks some parts, and it keeps
nothing of its first moments, in which a process starts (azure-monitor-opentelemetry-exporter 1.0.0b58, measured). Nor
can a sampler know what will fail, since it decides when a span begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanContext, TraceFlags

from entra_mcp.telemetry.scrubbing import changed, has_failed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes

SHARE = "_MS.sampleRate"
"""Where Application Insights reads for how many others a span stands."""


class WholeTraces(Sampler):
    """Asks another sampler at the first span of a trace in this process; those below share its fate.

    A trace that is not kept is recorded all the same, for `KeptFailures`. `always` names first spans that are kept in
    any case: there are few of them.
    """

    def __init__(self, first: Sampler, *, always: Collection[str] = ()) -> None:
        self._first = first
        self._always = always

    @override
    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        parent = trace.get_current_span(parent_context)
        context = parent.get_span_context()
        if context.is_valid and not context.is_remote:
            decision = Decision.RECORD_AND_SAMPLE if context.trace_flags.sampled else Decision.RECORD_ONLY
            share = (parent.attributes or {}).get(SHARE) if isinstance(parent, ReadableSpan) else None
            return SamplingResult(decision, {**(attributes or {}), **({} if share is None else {SHARE: share})})
        if name in self._always:
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        result = self._first.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        if result.decision is Decision.DROP:
            return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)
        return result

    @override
    def get_description(self) -> str:
        return f"WholeTraces{{{self._first.get_description()}}}"


class KeptFailures(BatchSpanProcessor):
    """Exports in batches; what failed is kept whatever becomes of its trace, and stands for itself."""

    @override
    def on_end(self, span: ReadableSpan) -> None:
        super().on_end(_kept(span) if has_failed(span) else span)


def _kept(span: ReadableSpan) -> ReadableSpan:
    context = span.get_span_context()
    if context is None:
        return span
    return changed(
        span,
        context=SpanContext(
            context.trace_id, context.span_id, context.is_remote, TraceFlags(TraceFlags.SAMPLED), context.trace_state
        ),
        attributes={name: value for name, value in (span.attributes or {}).items() if name != SHARE},
    )
