"""The newest traces and metrics, in memory, bounded."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from local.traces.otlp import Point, Span

MOST_TRACES = 200
MOST_SPANS = 2000
"""Of one trace; what comes later is counted and dropped."""


@dataclass(slots=True)
class Trace:
    """The spans of one trace that have arrived."""

    trace_id: str
    spans: dict[str, Span] = field(default_factory=dict["str", "Span"])
    dropped: int = 0

    @property
    def start(self) -> int:
        return min(span.start for span in self.spans.values())

    @property
    def end(self) -> int:
        return max(span.end for span in self.spans.values())

    @property
    def failed(self) -> bool:
        return any(span.failed for span in self.spans.values())

    def tree(self) -> Iterator[tuple[int, Span]]:
        """Yields each span with its depth, parents before children, in the order in which they began.

        A span whose parent has not arrived, the Functions host's for instance, is at the top; so are, at the end, those
        that would be their own ancestors.
        """
        children: dict[str, list[Span]] = {}
        for span in sorted(self.spans.values(), key=lambda span: (span.start, span.span_id)):
            children.setdefault(span.parent_id if span.parent_id in self.spans else "", []).append(span)
        seen: set[str] = set()
        waiting = [(0, span) for span in reversed(children.get("", []))]
        while waiting:
            depth, span = waiting.pop()
            if span.span_id not in seen:
                seen.add(span.span_id)
                yield depth, span
                waiting += [(depth + 1, child) for child in reversed(children.get(span.span_id, []))]
        yield from ((0, span) for span_id, span in self.spans.items() if span_id not in seen)


class Kept:
    """What has been received; the oldest traces go first."""

    def __init__(self, *, most_traces: int = MOST_TRACES, most_spans: int = MOST_SPANS) -> None:
        self._most_traces = most_traces
        self._most_spans = most_spans
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self._points: dict[tuple[str, ...], Point] = {}

    def add_spans(self, spans: Iterable[Span]) -> None:
        for span in spans:
            trace = self._traces.setdefault(span.trace_id, Trace(span.trace_id))
            if len(trace.spans) < self._most_spans or span.span_id in trace.spans:
                trace.spans[span.span_id] = span
            else:
                trace.dropped += 1
        while len(self._traces) > self._most_traces:
            self._traces.popitem(last=False)

    def add_points(self, points: Iterable[Point]) -> None:
        for point in points:
            key = (point.metric, *(f"{name}={value}" for name, value in sorted(point.attributes.items())))
            self._points[key] = point

    def traces(self) -> list[Trace]:
        """The traces, the one that began last first."""
        return sorted(self._traces.values(), key=lambda trace: trace.start, reverse=True)

    def points(self) -> list[Point]:
        return [self._points[key] for key in sorted(self._points)]

    def clear(self) -> None:
        self._traces.clear()
        self._points.clear()
